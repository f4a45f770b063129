/** Narrowing what is loaded of the journal. */
import type { RecordLineFragment } from "../generated/graphql";

export interface Filters {
  outcome: string | null;
  type: string | null;
  text: string;
}

export const NO_FILTERS: Filters = { outcome: null, type: null, text: "" };
export const OUTCOMES = ["succeeded", "failed", "unknown"] as const;

export function matches(record: RecordLineFragment, filters: Filters): boolean {
  if (filters.outcome !== null && record.outcome?.toLowerCase() !== filters.outcome) return false;
  if (filters.type !== null && record.eventType !== filters.type) return false;
  const words = filters.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const haystack = [record.actorName, record.actorLogin, record.subjectLabel, record.eventType]
    .join(" ")
    .toLocaleLowerCase();
  return words.every((word) => haystack.includes(word));
}

export interface EventKind {
  id: string;
  title: unknown;
}

/** The kinds of event among the records, for the filter to offer. */
export function typesOf(records: readonly RecordLineFragment[]): EventKind[] {
  return [...new Map(records.map(({ eventType, title }) => [eventType, { id: eventType, title }])).values()];
}
