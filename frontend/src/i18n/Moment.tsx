/** A moment: relative to read, exact on hover. */
import { useNow } from "../clock";
import { useI18n } from ".";

export function Moment({ at }: { at: string }) {
  const { format } = useI18n();
  const now = useNow();
  return (
    <time dateTime={at} title={format.exact(at)}>
      {format.relative(at, now)}
    </time>
  );
}
