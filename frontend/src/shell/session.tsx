/** Holds the session. When it ends under somebody's hands, the page stays as it is until they signed in again. */
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";

import { chooseTeam, readSession, type Session, signOut as endSession } from "../api/session";

interface SessionState {
  session: Session | null;
  /** The sign-in service did not answer. */
  unreachable: boolean;
  /** Somebody was signed in here, and the session ended. */
  expired: boolean;
  /** Changes when another person signed in: nothing of the former one's may stay. */
  generation: number;
  retry(): void;
  signedIn(session: Session): void;
  /** Other rights from here on: nothing read with the former ones may stay. */
  switchTeam(team: string): Promise<void>;
  signOut(everywhere?: boolean): Promise<void>;
  /** Resolves once the same person has a valid session again. */
  renew(): Promise<void>;
}

const Context = createContext<SessionState | null>(null);

export function useSession(): SessionState {
  const state = useContext(Context);
  if (state === null) throw new Error("useSession outside of SessionProvider");
  return state;
}

export function SessionProvider({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session | null>(null);
  const [unreachable, setUnreachable] = useState(false);
  const [expired, setExpired] = useState(false);
  const [generation, setGeneration] = useState(0);
  const person = useRef<string | null>(null);
  const waiting = useRef<(() => void)[]>([]);

  const adopt = useCallback((next: Session) => {
    setUnreachable(false);
    setSession(next);
    if (next.signedIn) person.current = next.login;
  }, []);

  const retry = useCallback(() => {
    setUnreachable(false);
    readSession().then(adopt, () => setUnreachable(true));
  }, [adopt]);
  useEffect(retry, [retry]);

  const signedIn = useCallback(
    (next: Session) => {
      const same = person.current === null || person.current === next.login;
      const resolvers = waiting.current;
      waiting.current = [];
      adopt(next);
      setExpired(false);
      if (same) resolvers.forEach((resolve) => resolve());
      else setGeneration((count) => count + 1);
    },
    [adopt],
  );

  const renew = useCallback(async () => {
    const present = await readSession().catch(() => null);
    // Nobody answers: the request that asked for a session is repeated and fails with a cause of its own.
    if (present === null) return;
    if (present.signedIn && present.login === person.current) return adopt(present);
    if (present.signedIn) return signedIn(present);
    setSession(present);
    setExpired(true);
    await new Promise<void>((resolve) => waiting.current.push(resolve));
  }, [adopt, signedIn]);

  const switchTeam = useCallback(
    async (team: string) => {
      adopt(await chooseTeam(team));
      setGeneration((count) => count + 1);
    },
    [adopt],
  );

  const signOut = useCallback(async (everywhere = false) => {
    const next = await endSession(everywhere);
    person.current = null;
    waiting.current = [];
    setExpired(false);
    setGeneration((count) => count + 1);
    setSession(next);
  }, []);

  const state = useMemo(
    () => ({ session, unreachable, expired, generation, retry, signedIn, switchTeam, signOut, renew }),
    [session, unreachable, expired, generation, retry, signedIn, switchTeam, signOut, renew],
  );
  return <Context.Provider value={state}>{children}</Context.Provider>;
}
