/** Pages of the schema's parts, loaded one behind the other; what is shown stays until the answer to another question is here. */
import { useCallback, useEffect, useRef, useState } from "react";
import { useClient } from "urql";

import { type Failure, failureOf } from "../api/failure";
import { type Gate, OPEN_GATE, readGate } from "../api/gate";
import { SchemaUsageDocument } from "../generated/graphql";
import type { Filters } from "./filters";
import type { Part } from "./parts";

const PAGE = 100;

export interface Usage {
  parts: readonly Part[];
  /** Of all pages; null while nothing was answered yet. */
  total: number | null;
  recordedSince: string | null;
  next: string | null;
  fetching: boolean;
  failure: Failure | null;
  gate: Gate;
}

const START: Usage = {
  parts: [],
  total: null,
  recordedSince: null,
  next: null,
  fetching: true,
  failure: null,
  gate: OPEN_GATE,
};

export function useUsage(filters: Filters): Usage & { more(): void; reload(): void } {
  const client = useClient();
  const [state, setState] = useState<Usage>(START);
  const asked = useRef(0);
  const { search, client: by, days, deprecatedOnly, unusedOnly } = filters;

  const load = useCallback(
    async (after: string | null) => {
      const number = ++asked.current;
      setState((now) => ({ ...now, fetching: true, failure: null }));
      const { data, error, extensions } = await client
        .query(
          SchemaUsageDocument,
          { first: PAGE, after, search: search.trim() || null, client: by, days, deprecatedOnly, unusedOnly },
          { requestPolicy: "network-only" },
        )
        .toPromise();
      if (number !== asked.current) return;
      const page = data?.schemaUsage;
      setState((now) =>
        page
          ? {
              parts: [...(after === null ? [] : now.parts), ...page.edges.map(({ node }) => node)],
              total: page.totalCount,
              recordedSince: page.recordedSince ?? null,
              next: page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null,
              fetching: false,
              failure: null,
              gate: OPEN_GATE,
            }
          : { ...now, fetching: false, failure: error ? failureOf(error) : null, gate: readGate(extensions) },
      );
    },
    [client, search, by, days, deprecatedOnly, unusedOnly],
  );

  useEffect(() => {
    void load(null);
    return () => {
      asked.current++;
    };
  }, [load]);

  return { ...state, more: () => void load(state.next), reload: () => void load(null) };
}
