/**
 * Whether the page is older than the server: a file of its build is gone, or the server no longer knows one of its
 * documents. Once so, it stays so until the page is loaded anew.
 */
import { useSyncExternalStore } from "react";

export const UNKNOWN_DOCUMENT = "PERSISTED_DOCUMENT_NOT_FOUND";

const listeners = new Set<() => void>();
let outdated = false;

export function markOutdated(): void {
  outdated = true;
  for (const each of listeners) each();
}

window.addEventListener("vite:preloadError", markOutdated);

export const isOutdated = (): boolean => outdated;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useOutdated = (): boolean => useSyncExternalStore(subscribe, isOutdated);
