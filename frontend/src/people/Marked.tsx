/** A text with the found part marked. */
import { Fragment } from "react";

import { highlight, highlightPhone } from "./highlight";

export function Marked({
  text,
  query,
  phone = false,
}: {
  text: string | null | undefined;
  query: string;
  phone?: boolean;
}) {
  if (!text) return null;
  const pieces = phone ? highlightPhone(text, query) : highlight(text, query);
  return (
    <>
      {pieces.map((piece, index) =>
        piece.hit ? <mark key={index}>{piece.text}</mark> : <Fragment key={index}>{piece.text}</Fragment>,
      )}
    </>
  );
}
