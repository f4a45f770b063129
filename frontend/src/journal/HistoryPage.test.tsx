import { screen, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { renderInOkno, type Server } from "../test-kit";
import HistoryPage from "./HistoryPage";

const read = {
  id: "c:1",
  at: "2026-11-02T09:00:00Z",
  eventType: "sensitive.read",
  title: { en: "Read sensitive fields" },
  actorName: "Elena Kim",
  team: "hr-service-desk",
  teamTitle: { en: "HR service desk" },
  fields: ["HrSection.birthDate", "HrSection.unknown"],
  erased: false,
};
const history =
  (...nodes: unknown[]): Server =>
  () => ({
    data: {
      whoLookedAtMe: { edges: nodes.map((node) => ({ node })), pageInfo: { hasNextPage: false, endCursor: null } },
    },
  });

test("one learns who looked, as whose member, and at what", async () => {
  renderInOkno(<HistoryPage />, history(read));
  const entry = within(await screen.findByTestId("history-record"));
  expect(entry.getByText("Elena Kim")).toBeTruthy();
  expect(entry.getByText("HR service desk")).toBeTruthy();
  expect(entry.getByText("Read sensitive fields: date of birth and HrSection.unknown")).toBeTruthy();
});

test("a name that was erased is told as such", async () => {
  renderInOkno(<HistoryPage />, history({ ...read, actorName: null, fields: [], erased: true }));
  expect((await screen.findByTestId("history-record")).textContent).toContain("Erased");
});

test("that nobody looked is an answer", async () => {
  renderInOkno(<HistoryPage />, history());
  expect((await screen.findByTestId("empty")).textContent).toContain("Nobody has");
});

test("what could not be read can be asked for again", async () => {
  renderInOkno(<HistoryPage />, () => ({ errors: [{ message: "away", extensions: { code: "UNAVAILABLE" } }] }));
  expect(await screen.findByTestId("failed")).toBeTruthy();
});

test("a denial is told with its reason", async () => {
  renderInOkno(<HistoryPage />, () => ({
    data: { whoLookedAtMe: null },
    extensions: { gate: [{ path: "whoLookedAtMe", decision: "deny", reason: "no rule" }] },
  }));
  expect(await screen.findByTestId("denied")).toBeTruthy();
});
