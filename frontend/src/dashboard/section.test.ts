import { CombinedError } from "urql";
import { expect, test } from "vitest";

import { OPEN_GATE, readGate } from "../api/gate";
import { readManifest } from "./manifest";
import { faceOf } from "./section";

const manifest = readManifest({
  id: "domain-account",
  view: "facts",
  manifest: {
    section: "employee.domain",
    fields: [
      { path: "employee.domain.login", label: {} },
      { path: "employee.domain.locked", label: {}, format: "boolean" },
    ],
    size: { w: 6, h: 12 },
  },
});
const network = new CombinedError({ networkError: new Error("offline") });
const answer = (state: string, code?: string) => ({
  data: {
    employee: {
      id: "1",
      domain: {
        meta: { state, source: "domain", sourceTitle: {}, asOf: null, error: code ? { code, message: "" } : null },
      },
    },
  },
  error: undefined,
  fetching: false,
  gate: OPEN_GATE,
});

test("a widget waits until its answer is here", () => {
  expect(faceOf(manifest, { data: undefined, error: undefined, fetching: true, gate: OPEN_GATE }).kind).toBe("loading");
});

test("a stale section is shown, a failed one is not", () => {
  expect(faceOf(manifest, answer("STALE"))).toMatchObject({ kind: "ready", meta: { state: "STALE" } });
  expect(faceOf(manifest, answer("FAILED", "TIMEOUT"))).toMatchObject({
    kind: "failed",
    failure: { code: "SOURCE_TIMEOUT" },
  });
});

test("a person whom the system does not know is no failure of the system", () => {
  expect(faceOf(manifest, answer("FAILED", "NOT_FOUND")).kind).toBe("absent");
  expect(faceOf(manifest, answer("FAILED", "NO_KEY")).kind).toBe("absent");
});

test("a section is locked when all of its fields are, and says the rule", () => {
  const denied = (path: string) => ({ path, decision: "deny", rule: "r", reason: "the rule" });
  const gate = readGate({ gate: [denied("employee.domain.login"), denied("employee.domain.locked")] });
  expect(faceOf(manifest, { ...answer("OK"), gate })).toMatchObject({ kind: "denied", reason: "the rule" });
  expect(faceOf(manifest, { ...answer("OK"), gate: readGate({ gate: [denied("employee.domain.locked")] }) }).kind).toBe(
    "ready",
  );
});

test("data of an earlier read outlives a later one that failed", () => {
  expect(faceOf(manifest, { ...answer("OK"), error: network })).toMatchObject({
    kind: "ready",
    partial: { code: "NETWORK" },
  });
  expect(faceOf(manifest, { data: undefined, error: network, fetching: false, gate: OPEN_GATE })).toMatchObject({
    kind: "failed",
  });
});

test("a manifest with nonsense in it still makes a card", () => {
  const odd = readManifest({
    id: "odd",
    view: "facts",
    manifest: { fields: [5, { path: 7 }, { path: "a.b", format: "??" }], size: { w: 99, h: "x" } },
  });
  expect(odd.fields).toEqual([{ path: "a.b", label: "a.b", format: "text" }]);
  expect(odd.size).toEqual({ w: 12, h: 6 });
  expect(readManifest({ id: "none", view: "facts", manifest: null }).fields).toEqual([]);
});
