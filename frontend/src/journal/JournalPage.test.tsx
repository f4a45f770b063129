import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import type { RecordLineFragment } from "../generated/graphql";
import { FakeLive, renderInOkno, type Server } from "../test-kit";
import JournalPage from "./JournalPage";

const record = (seq: number): RecordLineFragment => ({
  id: `R${seq}`,
  at: new Date(Date.UTC(2026, 10, 2, 9, 0, seq)).toISOString(),
  eventType: "operation.run",
  title: { en: "Ran an operation" },
  phase: "event",
  actorName: `Person ${seq}`,
  outcome: seq % 2 === 0 ? "succeeded" : "failed",
  seq,
});
const page = (...seqs: number[]): Server => {
  return () => ({
    data: {
      auditRecords: {
        edges: seqs.map((seq) => ({ node: record(seq) })),
        pageInfo: { hasNextPage: true, endCursor: `after ${seqs.at(-1)}` },
      },
    },
  });
};
const written = (live: FakeLive, ...seqs: number[]) =>
  act(() => {
    for (const seq of seqs) live.tell({ auditRecordAdded: record(seq) });
  });
const rows = () => screen.getAllByTestId("journal-row").map((row) => within(row).getByText(/^Person/).textContent);

async function open(server: Server) {
  const live = new FakeLive();
  renderInOkno(<JournalPage />, server, undefined, live);
  await screen.findAllByTestId("journal-row");
  return live;
}

afterEach(() => vi.restoreAllMocks());

test("a record that is written while one looks stands on top at once", async () => {
  const live = await open(page(2, 1));
  written(live, 3);
  expect(rows()).toEqual(["Person 3", "Person 2", "Person 1"]);
  expect(screen.queryByTestId("new-records")).toBeNull();
});

test("whoever reads further down is told of new records, and nothing moves", async () => {
  const live = await open(page(2, 1));
  screen.getAllByRole("link").at(0)?.focus();
  written(live, 3, 4);
  expect(rows()).toEqual(["Person 2", "Person 1"]);
  expect(screen.getByTestId("new-records").textContent).toBe("2 new records");
  await userEvent.click(screen.getByTestId("new-records"));
  expect(rows()).toEqual(["Person 4", "Person 3", "Person 2", "Person 1"]);
});

test("new records can be held back, and only those that the filters show are counted", async () => {
  const live = await open(page(2, 1));
  await userEvent.click(screen.getByTestId("live"));
  expect(screen.getByTestId("live").textContent).toContain("Paused");
  await userEvent.click(screen.getByRole("button", { name: "Succeeded" }));
  written(live, 3, 4);
  expect(screen.getByTestId("new-records").textContent).toBe("1 new record");
  await userEvent.click(screen.getByTestId("live"));
  expect(rows()).toEqual(["Person 4", "Person 2"]);
});

test("what was written while the connection was lost is read when it is there again", async () => {
  const written = [2, 1];
  const live = await open((request) => page(...written)(request));
  act(() => live.become("lost"));
  expect(screen.getByTestId("live").textContent).toContain("Reconnecting");
  written.unshift(3);
  act(() => live.become("live"));
  await waitFor(() => expect(rows()).toEqual(["Person 3", "Person 2", "Person 1"]));
});

test("when live updates have stopped, the page says so", async () => {
  const live = await open(page(2, 1));
  act(() => live.become("stopped"));
  expect(screen.getByTestId("live").textContent).toBe("Not live");
});

test("older records are asked for with a number and the place to go on behind", async () => {
  const asked: unknown[] = [];
  await open((request) => {
    asked.push(request.variables);
    return request.variables["after"] ? page(0)(request) : page(2, 1)(request);
  });
  await userEvent.click(screen.getByRole("button", { name: "Load older records" }));
  await waitFor(() => expect(rows()).toEqual(["Person 2", "Person 1", "Person 0"]));
  expect(asked[0]).toEqual({ first: 50, after: null, employee: null });
  expect(asked).toContainEqual({ first: 50, after: "after 1", employee: null });
});
