/** What the gate decided about a response, from its `extensions.gate`: the interface says why something is not there. */

export interface GateEntry {
  path: string;
  decision: "allow" | "mask" | "deny" | "conditional";
  rule: string | null;
  reason: string | null;
  allowed?: number;
  masked?: number;
  denied?: number;
  /** What one could prove and did not, without which it is denied. */
  lacks?: "second_factor";
  /** By which rule rows are masked, where others are read in full or not at all. */
  mask?: Denial;
}

/** What one tells a person about a value that was taken away. `rule` is null where no rule speaks of it: the default is deny. */
export type Denial = Pick<GateEntry, "rule" | "reason" | "lacks">;

export interface Gate {
  /** The entry that took the value at the path (or something above it) away; null when nothing did. */
  denialOf(path: string): GateEntry | null;
  /** Why the value at the path is shown masked; null when it is shown as it is, or there is none. */
  maskOf(path: string, value: unknown): Denial | null;
}

export const OPEN_GATE: Gate = { denialOf: () => null, maskOf: () => null };

/** Every form of a mask has it (okno/policy/masking.py). It says which rows of a list are masked, where some are. */
const MASK_SIGN = "•••";

const isMasked = (value: unknown): boolean =>
  Array.isArray(value) ? value.some(isMasked) : typeof value === "string" && value.includes(MASK_SIGN);

const masks = (entry: GateEntry): boolean => entry.decision === "mask" || (entry.masked ?? 0) > 0;

const takesAway = (entry: GateEntry): boolean =>
  entry.decision === "deny" ||
  (entry.decision === "conditional" &&
    (entry.denied ?? 0) > 0 &&
    (entry.allowed ?? 0) === 0 &&
    (entry.masked ?? 0) === 0);

export function readGate(extensions: Record<string, unknown> | undefined): Gate {
  const entries = extensions?.["gate"];
  if (!Array.isArray(entries)) return OPEN_GATE;
  const denied = new Map((entries as GateEntry[]).filter(takesAway).map((entry) => [entry.path, entry]));
  const masked = new Map((entries as GateEntry[]).filter(masks).map((entry) => [entry.path, entry.mask ?? entry]));
  return {
    maskOf: (path, value) => (isMasked(value) ? (masked.get(path) ?? null) : null),
    denialOf: (path) => {
      for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
        const entry = denied.get(at) ?? denied.get(at.replace(/\[\]$/, ""));
        if (entry !== undefined) return entry;
      }
      return null;
    },
  };
}
