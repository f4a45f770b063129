/** Listens for changes of one employee by others. A window that nobody sees reads nothing until it is looked at. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { useEvents } from "../api/useLive";
import { EmployeeChangedDocument } from "../generated/graphql";
import type { Changes } from "../operations/changes";
import { Echoes } from "../operations/echoes";

/** Several changes at once are read once. */
const SETTLE_MILLISECONDS = 300;

export function useChanges(employee: string): Changes {
  const [state, setState] = useState<{ revision: number; changedAt: string | null }>({ revision: 0, changedAt: null });
  const due = useRef<{ changedAt: string | null } | null>(null);
  const timer = useRef<number | undefined>(undefined);

  const apply = useCallback(() => {
    const change = due.current;
    if (change === null || document.hidden) return;
    due.current = null;
    setState((now) => ({ revision: now.revision + 1, changedAt: change.changedAt ?? now.changedAt }));
  }, []);
  const refresh = useCallback(
    (changedAt: string | null) => {
      due.current = { changedAt: changedAt ?? due.current?.changedAt ?? null };
      window.clearTimeout(timer.current);
      timer.current = window.setTimeout(apply, SETTLE_MILLISECONDS);
    },
    [apply],
  );
  useEffect(() => {
    document.addEventListener("visibilitychange", apply);
    return () => {
      document.removeEventListener("visibilitychange", apply);
      window.clearTimeout(timer.current);
    };
  }, [apply]);

  const echoes = useMemo(
    () => new Echoes((byOthers) => refresh(byOthers ? new Date().toISOString() : null)),
    [refresh],
  );
  useEvents(EmployeeChangedDocument, { employee }, { onEvent: () => echoes.event(), onResumed: () => refresh(null) });
  return useMemo(() => ({ ...state, echoes }), [state, echoes]);
}
