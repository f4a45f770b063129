/** A moment: relative to read, exact on hover. */
import { useNow } from "../clock";
import { useI18n } from ".";

export function Moment({ at, relative = true }: { at: string; relative?: boolean }) {
  const { format } = useI18n();
  const now = useNow();
  return (
    <time dateTime={at} title={relative ? format.exact(at) : format.relative(at, now)}>
      {relative ? format.relative(at, now) : format.dateTime(at)}
    </time>
  );
}
