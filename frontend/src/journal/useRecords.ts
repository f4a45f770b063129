/** Pages of the journal, newest first, loaded one behind the other. */
import { useCallback, useEffect, useState } from "react";
import { useClient } from "urql";

import { type Failure, failureOf } from "../api/failure";
import { type Gate, OPEN_GATE, readGate } from "../api/gate";
import { JournalRecordsDocument, type RecordLineFragment } from "../generated/graphql";

const PAGE = 50;

export interface Records {
  records: readonly RecordLineFragment[];
  next: string | null;
  fetching: boolean;
  failure: Failure | null;
  gate: Gate;
}

const START: Records = { records: [], next: null, fetching: true, failure: null, gate: OPEN_GATE };

export function useRecords(employee: string | null): Records & { more(): void; reload(): void } {
  const client = useClient();
  const [state, setState] = useState<Records>(START);

  const load = useCallback(
    async (after: string | null, isCurrent: () => boolean) => {
      const { data, error, extensions } = await client
        .query(JournalRecordsDocument, { first: PAGE, after, employee }, { requestPolicy: "network-only" })
        .toPromise();
      if (!isCurrent()) return;
      const page = data?.auditRecords;
      setState((now) => ({
        records: page ? [...(after === null ? [] : now.records), ...page.edges.map(({ node }) => node)] : now.records,
        next: page ? (page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null) : now.next,
        fetching: false,
        failure: error && !page ? failureOf(error) : null,
        gate: page ? OPEN_GATE : readGate(extensions),
      }));
    },
    [client, employee],
  );

  useEffect(() => {
    let current = true;
    setState(START);
    void load(null, () => current);
    return () => {
      current = false;
    };
  }, [load]);

  const again = (after: string | null) => {
    setState((now) => ({ ...now, fetching: true, failure: null }));
    void load(after, () => true);
  };
  return { ...state, more: () => again(state.next), reload: () => again(null) };
}
