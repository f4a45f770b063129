/** What the gate decided about a response, from its `extensions.gate`: the interface says why something is not there. */

export interface GateEntry {
  path: string;
  decision: "allow" | "deny" | "conditional";
  rule: string | null;
  reason: string | null;
  allowed?: number;
  denied?: number;
}

/** What one tells a person about a value that was taken away. `rule` is null where no rule speaks of it: the default is deny. */
export type Denial = Pick<GateEntry, "rule" | "reason">;

export interface Gate {
  /** The entry that took the value at the path (or something above it) away; null when nothing did. */
  denialOf(path: string): GateEntry | null;
}

export const OPEN_GATE: Gate = { denialOf: () => null };

const takesAway = (entry: GateEntry): boolean =>
  entry.decision === "deny" ||
  (entry.decision === "conditional" && (entry.denied ?? 0) > 0 && (entry.allowed ?? 0) === 0);

export function readGate(extensions: Record<string, unknown> | undefined): Gate {
  const entries = extensions?.["gate"];
  if (!Array.isArray(entries)) return OPEN_GATE;
  const denied = new Map((entries as GateEntry[]).filter(takesAway).map((entry) => [entry.path, entry]));
  return {
    denialOf: (path) => {
      for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
        const entry = denied.get(at) ?? denied.get(at.replace(/\[\]$/, ""));
        if (entry !== undefined) return entry;
      }
      return null;
    },
  };
}
