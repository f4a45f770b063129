/** What a record says that became what, as far as it is in the form that operations write. */
import type { ChangeLineFragment } from "../generated/graphql";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The changes in the detail of an outcome; null when it holds none. */
export function changesOf(detail: unknown): ChangeLineFragment[] | null {
  const result = isObject(detail) ? detail["result"] : null;
  const changes = isObject(result) ? result["changes"] : null;
  if (!Array.isArray(changes) || !changes.every(isObject)) return null;
  return changes.map((change) => ({
    source: String(change["source"] ?? ""),
    sourceTitle: change["sourceTitle"] ?? {},
    title: change["title"] ?? {},
    before: change["before"] ?? null,
    after: change["after"] ?? null,
  }));
}
