/** What the journal is narrowed to: it stands in the address, so that a view of it can be sent to somebody. */
import type { JournalRecordsQueryVariables, RecordLineFragment } from "../generated/graphql";

export const OUTCOMES = ["succeeded", "failed", "unknown"] as const;
export const PHASES = ["intent", "outcome", "event"] as const;
export const PERIODS = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000, month: 30 * 86_400_000 } as const;
export type Period = keyof typeof PERIODS;

/** The server looks words up in an index of three letters. */
export const MIN_TEXT = 3;

export interface Filters {
  text: string;
  outcome: (typeof OUTCOMES)[number] | null;
  phase: (typeof PHASES)[number] | null;
  types: readonly string[];
  /** Leaves out who came and went: what was done is rarer and asked for more often. */
  withoutSessions: boolean;
  period: Period | null;
  since: string | null;
  until: string | null;
  subject: string | null;
  actor: string | null;
  team: string | null;
  chain: string | null;
}

const oneOf = <T extends string>(values: readonly T[], value: string | null): T | null =>
  values.find((each) => each === value) ?? null;
const momentOf = (value: string | null): string | null =>
  value !== null && !Number.isNaN(Date.parse(value)) ? new Date(value).toISOString() : null;

export function readFilters(address: URLSearchParams): Filters {
  return {
    text: address.get("text") ?? "",
    outcome: oneOf(OUTCOMES, address.get("outcome")),
    phase: oneOf(PHASES, address.get("phase")),
    types: address.getAll("type"),
    withoutSessions: address.get("sessions") === "no",
    period: oneOf(Object.keys(PERIODS) as Period[], address.get("period")),
    since: momentOf(address.get("since")),
    until: momentOf(address.get("until")),
    subject: address.get("employee") ?? address.get("subject"),
    actor: address.get("actor"),
    team: address.get("team"),
    chain: address.get("chain"),
  };
}

export function writeFilters(filters: Filters): URLSearchParams {
  const address = new URLSearchParams();
  const { types, withoutSessions, ...rest } = filters;
  for (const [name, value] of Object.entries(rest))
    if (value) address.set(name === "subject" ? "employee" : name, value);
  for (const type of types) address.append("type", type);
  if (withoutSessions) address.set("sessions", "no");
  return address;
}

export type Asked = Omit<JournalRecordsQueryVariables, "first" | "after">;

/**
 * The arguments of the list.
 *
 * @param allTypes every type of event there is; null as long as that is not known.
 * @param now epoch milliseconds, from which a period is counted.
 */
export function askedOf(filters: Filters, allTypes: readonly string[] | null, now: number): Asked {
  const chosen = filters.types.length > 0 ? filters.types : filters.withoutSessions ? allTypes : null;
  const types = filters.withoutSessions ? chosen?.filter((type) => !type.startsWith("session.")) : chosen;
  const text = filters.text.trim();
  return {
    subject: filters.subject,
    actor: filters.actor,
    text: text.split(/\s+/).some((word) => [...word].length >= MIN_TEXT) ? text : null,
    eventTypes: types == null ? null : [...types],
    outcome: filters.outcome === null ? null : (filters.outcome.toUpperCase() as NonNullable<Asked["outcome"]>),
    phase: filters.phase === null ? null : (filters.phase.toUpperCase() as NonNullable<Asked["phase"]>),
    since: filters.since ?? (filters.period === null ? null : new Date(now - PERIODS[filters.period]).toISOString()),
    until: filters.until,
    team: filters.team,
    chain: filters.chain,
  };
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
