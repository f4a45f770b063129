/** The present moment for everything drawn: one timer for the page, ticking at most once in ten seconds. */
import { useSyncExternalStore } from "react";

const TICK_MILLISECONDS = 10_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: number | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, TICK_MILLISECONDS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Milliseconds since the epoch; a component that reads it is drawn again on each tick. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
