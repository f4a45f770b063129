/** What happens to the employee of a page while it is open, for everything drawn there. */
import { createContext, useContext, useEffect, useRef } from "react";

import type { Echoes } from "./echoes";

export interface Changes {
  /** Counts up when what was read may no longer be so. */
  revision: number;
  /** When somebody else last changed the employee while the page was open. */
  changedAt: string | null;
  /** Tells one's own deeds from those of others; null where nobody listens. */
  echoes: Echoes | null;
}

export const ChangesContext = createContext<Changes>({ revision: 0, changedAt: null, echoes: null });

/**
 * Reads anew, in place, what may no longer be so.
 *
 * @param asked whether it was read at all.
 */
export function useRefresh(again: (options: { requestPolicy: "network-only" }) => void, asked = true): void {
  const { revision } = useContext(ChangesContext);
  const seen = useRef(revision);
  useEffect(() => {
    if (seen.current === revision) return;
    seen.current = revision;
    if (asked) again({ requestPolicy: "network-only" });
  }, [revision, again, asked]);
}
