import { expect, test } from "vitest";

import type { RecordLineFragment } from "../generated/graphql";
import { arrive, catchUp, MOST_NEW, type Records, release, START, tooMany } from "./arrivals";

const record = (seq: number): RecordLineFragment => ({
  id: `R${seq}`,
  at: new Date(seq * 1000).toISOString(),
  eventType: "operation.run",
  title: {},
  phase: "event",
  erased: false,
  seq,
});
const list = (...seqs: number[]): Records => ({ ...START, fetching: false, records: seqs.map(record) });
const ids = (records: readonly RecordLineFragment[]) => records.map(({ id }) => id);

test("a new record stands on top, once, whoever tells of it", () => {
  const now = arrive(arrive(list(2, 1), [record(3)], false), [record(3)], false);
  expect(ids(now.records)).toEqual(["R3", "R2", "R1"]);
  expect([...now.added]).toEqual(["R3"]);
});

test("while one reads, new records wait beside the list, and come in together", () => {
  let now = arrive(list(1), [record(2)], true);
  now = arrive(now, [record(3)], true);
  expect([ids(now.records), ids(now.held)]).toEqual([["R1"], ["R3", "R2"]]);
  expect(ids(release(now).records)).toEqual(["R3", "R2", "R1"]);
  expect(ids(arrive(now, [record(4)], false).records)).toEqual(["R4", "R3", "R2", "R1"]);
});

test("what came out of order waits in order", () => {
  const now = arrive(arrive(list(1), [record(4)], true), [record(3), record(2)], true);
  expect(ids(now.held)).toEqual(["R4", "R3", "R2"]);
});

test("what was missed is taken in where the first page still meets the list", () => {
  const now = catchUp(list(2, 1), [record(4), record(3), record(2)], 3, false);
  expect([ids(now.records), now.behind]).toEqual([["R4", "R3", "R2", "R1"], false]);
});

test("where it does not, the list is behind, and keeps no hole", () => {
  const now = catchUp(list(2, 1), [record(9), record(8), record(7)], 3, false);
  expect([ids(now.records), now.behind]).toEqual([["R2", "R1"], true]);
});

test("a page left open for days does not grow without end", () => {
  const many = Array.from({ length: MOST_NEW + 1 }, (_, index) => record(index + 10));
  expect(tooMany(arrive(list(1), many.slice(1), true))).toBe(false);
  expect(tooMany(arrive(list(1), many, true))).toBe(true);
  expect(tooMany(arrive(list(1), many, false))).toBe(true);
});
