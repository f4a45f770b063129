/** Comparing before and after. */
import type { ChangeLineFragment } from "../generated/graphql";

export interface ChangedSystem {
  source: string;
  sourceTitle: unknown;
  changes: readonly ChangeLineFragment[];
}

export function groupChanges(changes: readonly ChangeLineFragment[]): ChangedSystem[] {
  const groups = new Map<string, { sourceTitle: unknown; changes: ChangeLineFragment[] }>();
  for (const change of changes) {
    const group = groups.get(change.source) ?? { sourceTitle: change.sourceTitle, changes: [] };
    group.changes.push(change);
    groups.set(change.source, group);
  }
  return [...groups].map(([source, group]) => ({ source, ...group }));
}

export interface ListDifference {
  added: readonly string[];
  removed: readonly string[];
  kept: number;
}

/** What a list gains and loses; null when the values are no lists. A missing list is an empty one. */
export function listDifference(before: unknown, after: unknown): ListDifference | null {
  if (!Array.isArray(before) && !Array.isArray(after)) return null;
  const items = (value: unknown) =>
    Array.isArray(value) ? value.map((item) => (typeof item === "string" ? item : JSON.stringify(item))) : [];
  const [old, now] = [items(before), items(after)];
  const had = new Set(old);
  const has = new Set(now);
  return {
    added: now.filter((item) => !had.has(item)),
    removed: old.filter((item) => !has.has(item)),
    kept: old.filter((item) => has.has(item)).length,
  };
}
