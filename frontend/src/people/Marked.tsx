/** A text with the found part marked. What is masked is not: it was not found by what one sees of it. */
import { Fragment } from "react";

import type { Gate } from "../api/gate";
import { LockedText } from "../views/Locked";
import { MaskedText } from "../views/Masked";
import { highlight, highlightPhone } from "./highlight";

export function Marked({
  text,
  query,
  phone = false,
  field,
  gate,
}: {
  text: string | null | undefined;
  query: string;
  phone?: boolean;
  /** The field of the found employee that it is. */
  field: string;
  gate: Gate;
}) {
  const path = `employees.edges[].node.${field}`;
  if (!text) {
    const denial = gate.denialOf(path);
    return denial === null ? null : <LockedText denial={denial} />;
  }
  const mask = gate.maskOf(path, text);
  if (mask !== null) return <MaskedText value={text} mask={mask} />;
  const pieces = phone ? highlightPhone(text, query) : highlight(text, query);
  return (
    <>
      {pieces.map((piece, index) =>
        piece.hit ? <mark key={index}>{piece.text}</mark> : <Fragment key={index}>{piece.text}</Fragment>,
      )}
    </>
  );
}
