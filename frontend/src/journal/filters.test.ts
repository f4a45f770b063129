import { expect, test } from "vitest";

import type { RecordLineFragment } from "../generated/graphql";
import { matches, NO_FILTERS, operationsOf } from "./filters";

const record = (more: Partial<RecordLineFragment>): RecordLineFragment => ({
  id: "1",
  at: "2026-11-02T09:00:00Z",
  eventType: "operation.run",
  title: {},
  phase: "intent",
  seq: 1,
  ...more,
});

test("an outcome is told with the operation that its intent named", () => {
  const intent = record({ requestId: "r1", detail: { operation: "domain.unlock" } });
  const outcome = record({ id: "2", phase: "outcome", requestId: "r1", detail: { result: {} } });
  const other = record({ id: "3", requestId: "r2", detail: null });
  expect([...operationsOf([outcome, intent, other])]).toEqual([
    ["2", "domain.unlock"],
    ["1", "domain.unlock"],
  ]);
});

test("who came and went can be left out", () => {
  const signIn = record({ eventType: "session.started" });
  expect(matches(signIn, NO_FILTERS)).toBe(true);
  expect(matches(signIn, { ...NO_FILTERS, withoutSessions: true })).toBe(false);
  expect(matches(record({}), { ...NO_FILTERS, withoutSessions: true })).toBe(true);
});
