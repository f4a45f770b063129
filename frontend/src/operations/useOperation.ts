/**
 * One deed from form to result: form → previewed → done. A deed has one idempotency key from its preview on, so asking
 * again after a lost answer never does it twice.
 */
import { useCallback, useContext, useEffect, useRef, useState } from "react";
import { useClient } from "urql";

import { type Failure, failureOf } from "../api/failure";
import { newKey } from "../api/keys";
import {
  type ChangeLineFragment,
  PreviewOperationDocument,
  type PreviewOperationMutation,
  RunOperationDocument,
  type RunOperationMutation,
} from "../generated/graphql";
import { ChangesContext } from "./changes";
import type { Ending } from "./echoes";

export type Problem = NonNullable<PreviewOperationMutation["operationPreview"]>["errors"][number];
type RunPayload = NonNullable<RunOperationMutation["operationRun"]>;

export type Stage =
  | { kind: "form" }
  | {
      kind: "previewed";
      changes: readonly ChangeLineFragment[];
      token: string;
      runKey: string;
      /** Not what was previewed at first; then a second click of a double click must not run it unseen. */
      changed: boolean;
      seen: boolean;
      /** The answer to a run was lost: it may be done. */
      lost: boolean;
    }
  | {
      kind: "done";
      outcome: NonNullable<RunPayload["outcome"]>;
      changes: readonly ChangeLineFragment[];
      record: string | null;
      problems: readonly Problem[];
    };

export interface Deed {
  stage: Stage;
  busy: "preview" | "run" | null;
  /** What the user can mend, from the last answer. */
  problems: readonly Problem[];
  /** The request itself failed: nothing was done (or, in `previewed` with `lost`, it is not known). */
  failure: Failure | null;
  preview(input: Record<string, unknown>): Promise<void>;
  run(): Promise<void>;
  /** What is different now was looked at. */
  acknowledge(): void;
  /** The form was touched: what was previewed no longer holds. */
  reset(): void;
}

const FORM: Stage = { kind: "form" };

/** A result that is only repeated changed nothing now. */
const endingOf = (payload: RunPayload | null | undefined): Ending =>
  !payload ? "lost" : payload.outcome === "SUCCEEDED" && payload.replayed !== true ? "succeeded" : "failed";

export function useOperation(operation: string, employee: string): Deed {
  const client = useClient();
  const { echoes } = useContext(ChangesContext);
  const [stage, setStage] = useState<Stage>(FORM);
  const [busy, setBusy] = useState<Deed["busy"]>(null);
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [failure, setFailure] = useState<Failure | null>(null);
  const input = useRef<Record<string, unknown>>({});
  const mounted = useRef(true);
  useEffect(() => {
    mounted.current = true;
    return () => {
      mounted.current = false;
    };
  }, []);

  const show = useCallback(
    async (changed: boolean) => {
      const { data, error } = await client
        .mutation(PreviewOperationDocument, {
          input: { operation, employee, input: input.current, idempotencyKey: newKey() },
        })
        .toPromise();
      if (!mounted.current) return;
      const payload = data?.operationPreview;
      if (payload?.previewToken) {
        setStage({
          kind: "previewed",
          changes: payload.changes ?? [],
          token: payload.previewToken,
          runKey: newKey(),
          changed,
          seen: !changed,
          lost: false,
        });
        return;
      }
      setStage(FORM);
      setProblems(payload?.errors ?? []);
      if (!payload || payload.errors.length === 0)
        setFailure(error ? failureOf(error) : { code: "DENIED", requestId: null });
    },
    [client, operation, employee],
  );

  const preview = useCallback(
    async (given: Record<string, unknown>) => {
      input.current = given;
      setBusy("preview");
      setProblems([]);
      setFailure(null);
      await show(false);
      if (mounted.current) setBusy(null);
    },
    [show],
  );

  const run = useCallback(async () => {
    if (stage.kind !== "previewed") return;
    setBusy("run");
    setProblems([]);
    setFailure(null);
    echoes?.begin();
    const { data, error } = await client
      .mutation(
        RunOperationDocument,
        {
          input: { operation, employee, input: input.current, previewToken: stage.token, idempotencyKey: stage.runKey },
        },
        { additionalTypenames: ["Employee"] },
      )
      .toPromise();
    const payload = data?.operationRun;
    echoes?.end(endingOf(payload));
    if (!mounted.current) return;
    const codes = new Set<string>(payload?.errors.map(({ code }) => code));
    if (["PREVIEW_CHANGED", "PREVIEW_EXPIRED", "PREVIEW_INVALID"].some((code) => codes.has(code))) {
      await show(true);
    } else if (stage.lost && codes.has("CONFLICT")) {
      setFailure({ code: "STILL_RUNNING", requestId: null });
    } else if (payload?.outcome) {
      const { outcome, changes, journalRecord, errors } = payload;
      setStage({ kind: "done", outcome, changes: changes ?? [], record: journalRecord ?? null, problems: errors });
    } else if (payload && payload.errors.length > 0) {
      setStage(FORM);
      setProblems(payload.errors);
    } else {
      const reason = error ? failureOf(error) : { code: "DENIED", requestId: null };
      // Whether the answer or the request was lost is not known; the same key asks for the result of the same deed.
      const lost = error !== undefined && reason.code !== "DENIED";
      setStage({ ...stage, lost });
      setFailure(reason);
    }
    if (mounted.current) setBusy(null);
  }, [client, operation, employee, stage, show, echoes]);

  const acknowledge = useCallback(
    () => setStage((now) => (now.kind === "previewed" ? { ...now, seen: true } : now)),
    [],
  );
  const reset = useCallback(() => {
    setStage(FORM);
    setProblems([]);
    setFailure(null);
  }, []);

  return { stage, busy, problems, failure, preview, run, acknowledge, reset };
}
