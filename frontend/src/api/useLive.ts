/** Live updates in components. Where none are given, as in tests, there are none. */
import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { TypedDocumentNode } from "urql";

import type { LiveState, LiveUpdates } from "./live";

export const LiveContext = createContext<LiveUpdates | null>(null);

interface Hearing<Data> {
  onEvent(data: Data): void;
  /** The connection was lost for a while: events may have been missed. */
  onResumed?(): void;
}

const never = () => () => undefined;

/** Hears the events of a trusted document while the component is there. `variables` are compared by their JSON. */
export function useEvents<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  hearing: Hearing<Data>,
): LiveState {
  const live = useContext(LiveContext);
  const state = useSyncExternalStore<LiveState>(live?.listen ?? never, live?.state ?? (() => "stopped"));
  const [refused, setRefused] = useState(false);
  const latest = useRef(hearing);
  useEffect(() => {
    latest.current = hearing;
  });
  const key = JSON.stringify(variables);
  useEffect(() => {
    if (live === null) return;
    setRefused(false);
    const leave = live.subscribe(
      document,
      JSON.parse(key) as Variables,
      (data) => latest.current.onEvent(data),
      () => setRefused(true),
    );
    const unlisten = live.onResumed(() => latest.current.onResumed?.());
    return () => {
      leave();
      unlisten();
    };
  }, [live, document, key]);
  return refused ? "stopped" : state;
}
