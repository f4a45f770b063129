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
  erased: false,
  actorName: `Person ${seq}`,
  outcome: seq % 2 === 0 ? "succeeded" : "failed",
  seq,
});
const TYPES = [
  { id: "session.started", title: { en: "Signed in" } },
  { id: "operation.run", title: { en: "Ran an operation" } },
];
const page = (...seqs: number[]): Server => {
  return (request) =>
    request.operationName === "JournalEventTypes" ? { data: { auditEventTypes: TYPES } } : listed(seqs);
};
const listed = (seqs: number[]) => {
  return {
    data: {
      auditRecords: {
        edges: seqs.map((seq) => ({ node: record(seq) })),
        pageInfo: { hasNextPage: true, endCursor: `after ${seqs.at(-1)}` },
      },
    },
  };
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

afterEach(() => {
  vi.restoreAllMocks();
  window.history.replaceState(null, "", "/");
});

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

test("new records can be held back", async () => {
  const live = await open(page(2, 1));
  await userEvent.click(screen.getByTestId("live"));
  expect(screen.getByTestId("live").textContent).toContain("Paused");
  written(live, 3, 4);
  expect(screen.getByTestId("new-records").textContent).toBe("2 new records");
  await userEvent.click(screen.getByTestId("live"));
  expect(rows()).toEqual(["Person 4", "Person 3", "Person 2", "Person 1"]);
});

test("a filter is the server's to apply, to what there is and to what comes", async () => {
  const asked: Record<string, unknown>[] = [];
  const live = await open((request) => {
    if (request.operationName === "JournalRecords") asked.push(request.variables);
    return request.variables["outcome"] === "SUCCEEDED" ? page(2)(request) : page(2, 1)(request);
  });
  await userEvent.click(screen.getByRole("button", { name: "Succeeded" }));
  await waitFor(() => expect(rows()).toEqual(["Person 2"]));
  expect(live.variables.at(-1)).toMatchObject({ outcome: "SUCCEEDED" });
  await userEvent.click(screen.getByRole("button", { name: "Without sign-ins" }));
  await waitFor(() => expect(asked.at(-1)).toMatchObject({ outcome: "SUCCEEDED", eventTypes: ["operation.run"] }));
});

test("what is typed is asked for once typing pauses, and stands in the address", async () => {
  const asked: unknown[] = [];
  await open((request) => {
    if (request.operationName === "JournalRecords") asked.push(request.variables["text"]);
    return page(2, 1)(request);
  });
  await userEvent.click(screen.getByRole("textbox", { name: "Who, whom or what" }));
  await userEvent.paste("anna");
  // the first page is read once more when live updates begin
  await waitFor(() => expect([...new Set(asked)]).toEqual([null, "anna"]));
  expect(window.location.search).toBe("?text=anna");
});

test("when the filters leave nothing, the page says so and shows the way back", async () => {
  window.history.replaceState(null, "", "/journal?outcome=unknown");
  renderInOkno(<JournalPage />, (request) =>
    request.variables["outcome"] === "UNKNOWN" ? page()(request) : page(1)(request),
  );
  expect((await screen.findByTestId("empty")).textContent).toContain("No record matches");
  await userEvent.click(screen.getByRole("button", { name: "Show all records" }));
  await waitFor(() => expect(rows()).toEqual(["Person 1"]));
});

test("whom it was done to is told by name, with what was recorded beside it", async () => {
  const about = { ...record(1), subjectKind: "Employee", subjectId: "E1", subjectLabel: "ivan.petrov" };
  await open((request) => {
    if (request.operationName === "JournalNames")
      return { data: { nodes: [{ id: "E1", displayName: "Ivan Petrov" }] } };
    if (request.operationName !== "JournalRecords") return page()(request);
    return { data: { auditRecords: { edges: [{ node: about }], pageInfo: { hasNextPage: false, endCursor: null } } } };
  });
  await screen.findByText("Ivan Petrov");
  expect(screen.getByText("ivan.petrov")).toBeTruthy();
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
    if (request.operationName === "JournalRecords") asked.push(request.variables);
    return request.variables["after"] ? page(0)(request) : page(2, 1)(request);
  });
  await userEvent.click(screen.getByRole("button", { name: "Load older records" }));
  await waitFor(() => expect(rows()).toEqual(["Person 2", "Person 1", "Person 0"]));
  expect(asked[0]).toMatchObject({ first: 50, after: null, subject: null });
  expect(asked.at(-1)).toMatchObject({ first: 50, after: "after 1", subject: null });
});
