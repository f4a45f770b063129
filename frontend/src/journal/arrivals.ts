/** How records that are written while one looks come into the list: on top, and never under the eyes of who reads. */
import { type Gate, OPEN_GATE } from "../api/gate";
import type { Failure } from "../api/failure";
import type { RecordLineFragment } from "../generated/graphql";

/** With more than these new ones the list begins anew with its first page. */
export const MOST_NEW = 500;

export interface Records {
  records: readonly RecordLineFragment[];
  /** Written since, and not yet in the list: somebody reads there. Newest first. */
  held: readonly RecordLineFragment[];
  /** Ids of those that came by themselves, to be told apart for a moment. */
  added: ReadonlySet<string>;
  /** More was written than is known: only reading from the start shows all. */
  behind: boolean;
  next: string | null;
  fetching: boolean;
  failure: Failure | null;
  gate: Gate;
}

export const START: Records = {
  records: [],
  held: [],
  added: new Set(),
  behind: false,
  next: null,
  fetching: true,
  failure: null,
  gate: OPEN_GATE,
};

export const tooMany = ({ held, added }: Records): boolean => held.length + added.size > MOST_NEW;

const knownIds = ({ held, records }: Records) => new Set([...held, ...records].map(({ id }) => id));

/** @param hold whether they have to wait beside the list. */
export function arrive(now: Records, arrived: readonly RecordLineFragment[], hold: boolean): Records {
  const known = knownIds(now);
  const unknown = arrived.filter(({ id }) => !known.has(id));
  if (unknown.length === 0) return now;
  // Sorting is stable: of one moment, what came last stands first.
  const held = [...[...unknown].reverse(), ...now.held].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  return hold ? { ...now, held } : release({ ...now, held });
}

export function release(now: Records): Records {
  if (now.held.length === 0) return now;
  return {
    ...now,
    records: [...now.held, ...now.records],
    added: new Set([...now.added, ...now.held.map(({ id }) => id)]),
    held: [],
  };
}

/**
 * Takes in what was written while nobody listened.
 *
 * @param newest the first page, newest first; when it is full and all of it is new, records behind it were missed too.
 */
export function catchUp(now: Records, newest: readonly RecordLineFragment[], pageSize: number, hold: boolean): Records {
  const known = knownIds(now);
  const joins = now.records.length === 0 || newest.length < pageSize || newest.some(({ id }) => known.has(id));
  return joins ? arrive(now, [...newest].reverse(), hold) : { ...now, behind: true };
}
