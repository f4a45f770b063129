/** Records of the journal, newest first: pages loaded one behind the other, and those written while one looks. */
import { useCallback, useEffect, useRef, useState } from "react";
import { useClient } from "urql";

import { failureOf } from "../api/failure";
import { OPEN_GATE, readGate } from "../api/gate";
import type { LiveState } from "../api/live";
import { useEvents } from "../api/useLive";
import { JournalRecordAddedDocument, JournalRecordsDocument, type RecordLineFragment } from "../generated/graphql";
import type { Asked } from "./filters";
import { arrive, catchUp, type Records, release, START, tooMany } from "./arrivals";

const PAGE = 50;
/** A subscription stands a moment after the connection does; what was written before is read then. */
const CATCH_UP_MILLISECONDS = 500;

export interface Journal extends Records {
  live: LiveState;
  more(): void;
  reload(): void;
  /** Lets those that were held back into the list. */
  release(): void;
}

/** What new records are narrowed to: all of them come after any begin. */
function liveOf({ subject, actor, text, eventTypes, outcome, phase, team, chain }: Asked) {
  return { subject, actor, text, eventTypes, outcome, phase, team, chain };
}

/**
 * @param asked what the list is narrowed to; null while that is not known yet.
 * @param isReading whether the list must not move now.
 */
export function useRecords(asked: Asked | null, isReading: () => boolean): Journal {
  const key = asked === null ? null : JSON.stringify(asked);
  const client = useClient();
  const [state, setState] = useState<Records>(START);
  /** What was written while the first page was on its way. */
  const since = useRef<RecordLineFragment[]>([]);
  const reading = useRef(isReading);
  useEffect(() => {
    reading.current = isReading;
  });

  const read = useCallback(
    (after: string | null) =>
      client
        .query(
          JournalRecordsDocument,
          { first: PAGE, after, ...(JSON.parse(key ?? "{}") as Asked) },
          { requestPolicy: "network-only" },
        )
        .toPromise(),
    [client, key],
  );
  const load = useCallback(
    async (after: string | null, isCurrent: () => boolean) => {
      if (after === null) since.current = [];
      const { data, error, extensions } = await read(after);
      if (!isCurrent()) return;
      const page = data?.auditRecords;
      if (!page) {
        const failure = error ? failureOf(error) : null;
        setState((now) => ({ ...now, fetching: false, failure, gate: readGate(extensions) }));
        return;
      }
      const loaded = page.edges.map(({ node }) => node);
      const next = page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
      const rest = { next, fetching: false, failure: null, gate: OPEN_GATE };
      setState((now) =>
        after === null
          ? arrive({ ...START, ...rest, records: loaded }, since.current, false)
          : { ...now, ...rest, records: [...now.records, ...loaded] },
      );
    },
    [read],
  );

  useEffect(() => {
    let current = true;
    setState(START);
    if (key !== null) void load(null, () => current);
    return () => {
      current = false;
    };
  }, [load, key]);

  const again = useCallback(
    (after: string | null) => {
      setState((now) => ({ ...now, fetching: true, failure: null }));
      void load(after, () => true);
    },
    [load],
  );

  const until = asked?.until;
  const added = asked === null ? {} : liveOf(asked);
  // What comes now belongs into no list that has an end.
  const ended = key === null || (until != null && Date.parse(until) <= Date.now());
  const [resumed, setResumed] = useState(0);
  const live = useEvents(JournalRecordAddedDocument, added, {
    onEvent: ({ auditRecordAdded: record }) => {
      if (!record || ended) return;
      since.current.push(record);
      setState((now) => arrive(now, [record], reading.current()));
    },
    onResumed: () => setResumed((count) => count + 1),
  });
  useEffect(() => {
    if (live !== "live" || ended) return;
    let current = true;
    const timer = window.setTimeout(() => {
      void read(null).then(({ data }) => {
        if (!current || !data?.auditRecords) return;
        const newest = data.auditRecords.edges.map(({ node }) => node);
        setState((now) => catchUp(now, newest, PAGE, reading.current()));
      });
    }, CATCH_UP_MILLISECONDS);
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [live, resumed, read, ended]);

  const letIn = useCallback(() => {
    if (state.behind || tooMany(state)) again(null);
    else setState(release);
  }, [state, again]);
  useEffect(() => {
    const stale = (state.behind || tooMany(state)) && !state.fetching && state.failure === null;
    if (stale && !reading.current()) again(null);
  }, [state, again]);

  return { ...state, live, more: () => again(state.next), reload: () => again(null), release: letIn };
}
