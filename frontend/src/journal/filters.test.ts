import { expect, test } from "vitest";

import type { RecordLineFragment } from "../generated/graphql";
import { askedOf, operationsOf, readFilters, writeFilters } from "./filters";

const record = (more: Partial<RecordLineFragment>): RecordLineFragment => ({
  id: "1",
  at: "2026-11-02T09:00:00Z",
  eventType: "operation.run",
  title: {},
  phase: "intent",
  erased: false,
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

const NOW = Date.UTC(2026, 10, 2, 9);
const asked = (address: string, types: readonly string[] | null = null) =>
  askedOf(readFilters(new URLSearchParams(address)), types, NOW);

test("who came and went can be left out, alone and of the chosen types", () => {
  const types = ["session.started", "operation.run", "sensitive.read"];
  expect(asked("sessions=no", types).eventTypes).toEqual(["operation.run", "sensitive.read"]);
  expect(asked("sessions=no&type=session.started&type=operation.run", types).eventTypes).toEqual(["operation.run"]);
  expect(asked("", types).eventTypes).toBeNull();
});

test("the address says what the list is narrowed to, and nothing that it cannot be", () => {
  const address =
    "text=anna&outcome=failed&phase=intent&period=day&employee=E1&actor=A1&team=security&chain=C1&type=a&type=b&sessions=no";
  const filters = readFilters(new URLSearchParams(address));
  expect([...writeFilters(filters)].sort()).toEqual([...new URLSearchParams(address)].sort());
  const wrong = readFilters(new URLSearchParams("outcome=fine&phase=x&period=age&since=never"));
  expect([...writeFilters(wrong)]).toEqual([]);
});

test("the server is asked in its own words", () => {
  expect(asked("text=anna&outcome=failed&phase=event&period=hour&employee=E1")).toEqual({
    subject: "E1",
    actor: null,
    text: "anna",
    eventTypes: null,
    outcome: "FAILED",
    phase: "EVENT",
    since: "2026-11-02T08:00:00.000Z",
    until: null,
    team: null,
    chain: null,
  });
});

test("words too short for the index are not asked for", () => {
  expect(asked("text=ab").text).toBeNull();
  expect(asked("text=ab+cde").text).toBe("ab cde");
});
