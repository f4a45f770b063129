/** Narrowing what is loaded of the journal. */
import type { RecordLineFragment } from "../generated/graphql";

export interface Filters {
  outcome: string | null;
  type: string | null;
  text: string;
  /** Leaves out who came and went: what was done is rarer and asked for more often. */
  withoutSessions: boolean;
}

export const NO_FILTERS: Filters = { outcome: null, type: null, text: "", withoutSessions: false };
export const OUTCOMES = ["succeeded", "failed", "unknown"] as const;

export function matches(record: RecordLineFragment, filters: Filters): boolean {
  if (filters.outcome !== null && record.outcome?.toLowerCase() !== filters.outcome) return false;
  if (filters.type !== null && record.eventType !== filters.type) return false;
  if (filters.withoutSessions && record.eventType.startsWith("session.")) return false;
  const words = filters.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const haystack = [record.actorName, record.actorLogin, record.subjectLabel, record.eventType, operationOf(record)]
    .join(" ")
    .toLocaleLowerCase();
  return words.every((word) => haystack.includes(word));
}

/** Which operation a record is about, by its id. */
export function operationOf({ detail }: Pick<RecordLineFragment, "detail">): string | null {
  const operation = typeof detail === "object" && detail !== null && "operation" in detail ? detail.operation : null;
  return typeof operation === "string" ? operation : null;
}

const deedOf = ({ eventType, requestId }: RecordLineFragment): string => `${requestId} ${eventType}`;

/** The operations of records by their ids; an outcome does not repeat what its intent said, so it is asked. */
export function operationsOf(records: readonly RecordLineFragment[]): ReadonlyMap<string, string> {
  const intents = new Map(
    records.flatMap((record) => {
      const operation = record.requestId == null ? null : operationOf(record);
      return operation === null ? [] : [[deedOf(record), operation]];
    }),
  );
  return new Map(
    records.flatMap((record) => {
      const operation = operationOf(record) ?? intents.get(deedOf(record));
      return operation === undefined ? [] : [[record.id, operation]];
    }),
  );
}

export interface EventKind {
  id: string;
  title: unknown;
}

/** The kinds of event among the records, for the filter to offer. */
export function typesOf(records: readonly RecordLineFragment[]): EventKind[] {
  return [...new Map(records.map(({ eventType, title }) => [eventType, { id: eventType, title }])).values()];
}
