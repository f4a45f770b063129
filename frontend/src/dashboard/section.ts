/** Which face a widget has to show, from its answer: the one place that decides it. */
import type { CombinedError } from "urql";

import { type Failure, failureOf } from "../api/failure";
import type { Gate } from "../api/gate";
import { type Manifest, valueAt } from "./manifest";

export interface SectionMeta {
  state: "OK" | "STALE" | "FAILED" | "DENIED";
  source: string;
  sourceTitle: unknown;
  asOf: string | null;
  error: { code: string; message: string } | null;
}

export type WidgetFace =
  | { kind: "loading" }
  | { kind: "ready"; meta: SectionMeta | null; partial: Failure | null }
  | { kind: "denied"; meta: SectionMeta | null; reason: string | null }
  /** The source does not know this person: nothing is broken. */
  | { kind: "absent"; meta: SectionMeta }
  | { kind: "failed"; meta: SectionMeta | null; failure: Failure };

const ABSENT_CODES = new Set(["NOT_FOUND", "NO_KEY"]);

function readMeta(data: unknown, section: string | null): SectionMeta | null {
  const meta = section === null ? undefined : valueAt(data, `${section}.meta`);
  return meta !== null && typeof meta === "object" && "state" in meta ? (meta as SectionMeta) : null;
}

export function faceOf(
  manifest: Manifest,
  answer: { data: unknown; error: CombinedError | undefined; fetching: boolean; gate: Gate },
): WidgetFace {
  const { data, error, fetching, gate } = answer;
  const root = manifest.section ?? "employee";
  if (data === undefined || data === null || valueAt(data, "employee") === undefined) {
    if (error !== undefined) return { kind: "failed", meta: null, failure: failureOf(error) };
    if (fetching || data === undefined) return { kind: "loading" };
  }
  const meta = readMeta(data, manifest.section);
  const denial = gate.denialOf(root);
  if (denial !== null) return { kind: "denied", meta, reason: denial.reason };
  if (meta?.state === "DENIED") return { kind: "denied", meta, reason: reasonBelow(manifest, gate) };
  if (meta?.state === "FAILED") {
    const code = meta.error?.code ?? "OTHER";
    if (ABSENT_CODES.has(code)) return { kind: "absent", meta };
    return { kind: "failed", meta, failure: { code: `SOURCE_${code}`, requestId: null } };
  }
  const paths = manifest.fields.map(({ path }) => path);
  if (paths.length > 0 && paths.every((path) => gate.denialOf(path) !== null)) {
    return { kind: "denied", meta, reason: reasonBelow(manifest, gate) };
  }
  if (valueAt(data, root) == null) {
    const failure = error ? failureOf(error) : { code: "NOT_FOUND", requestId: null };
    return { kind: "failed", meta, failure };
  }
  return { kind: "ready", meta, partial: error ? failureOf(error) : null };
}

/** The reason of the first field that was taken away: all of the section went with it. */
function reasonBelow(manifest: Manifest, gate: Gate): string | null {
  const paths = [...manifest.fields.map(({ path }) => path), ...(manifest.rows === null ? [] : [manifest.rows])];
  return paths.map((path) => gate.denialOf(path)?.reason).find((reason) => reason != null) ?? null;
}
