/** Finding people while one types: waits for a pause, keeps the last answer until the next one is here. */
import { useEffect, useMemo, useState } from "react";
import { useQuery } from "urql";

import { type Gate, OPEN_GATE, readGate } from "../api/gate";
import { type Failure, failureOf } from "../api/failure";
import { SearchPeopleDocument, type SearchPeopleQuery } from "../generated/graphql";

const PAUSE_MILLISECONDS = 150;
export const SHORTEST_QUERY = 2;

export type Found = NonNullable<SearchPeopleQuery["employees"]>["edges"][number]["node"];

export interface Search {
  /** What the people below were found by; empty while nothing was searched. */
  text: string;
  people: readonly Found[];
  hasMore: boolean;
  /** An answer to what is typed now is still on its way. */
  waiting: boolean;
  failure: Failure | null;
  denied: Gate;
  /** What the gate says of the people below. */
  gate: Gate;
  retry(): void;
}

export function useDebounced<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), milliseconds);
    return () => window.clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

export const isSearchable = (text: string): boolean => text.trim().length >= SHORTEST_QUERY;

export function useSearch(typed: string, first: number): Search {
  const wanted = typed.trim();
  const text = useDebounced(wanted, PAUSE_MILLISECONDS);
  const searchable = isSearchable(text) && isSearchable(wanted);
  const [{ data, error, fetching, extensions, operation }, again] = useQuery({
    query: SearchPeopleDocument,
    variables: { text, first },
    pause: !searchable,
    requestPolicy: "cache-and-network",
  });
  const gate = useMemo(() => readGate(extensions), [extensions]);
  const connection = searchable ? data?.employees : undefined;
  return {
    text: connection ? String(operation?.variables.text ?? text) : "",
    people: connection?.edges.map(({ node }) => node) ?? [],
    hasMore: connection?.pageInfo.hasNextPage ?? false,
    waiting: isSearchable(wanted) && (wanted !== text || fetching),
    failure: searchable && error && !connection ? failureOf(error) : null,
    gate,
    denied: searchable && data && !connection ? gate : OPEN_GATE,
    retry: () => again({ requestPolicy: "network-only" }),
  };
}
