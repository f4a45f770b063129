import { act, screen, waitFor } from "@testing-library/react";
import { useContext } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { ChangesContext } from "../operations/changes";
import { FakeLive, renderInOkno } from "../test-kit";
import { useChanges } from "./useChanges";

function Page() {
  const changes = useChanges("E1");
  return (
    <ChangesContext.Provider value={changes}>
      <Shown />
    </ChangesContext.Provider>
  );
}

function Shown() {
  const { revision, changedAt, echoes } = useContext(ChangesContext);
  return (
    <>
      <output>{`read ${revision} times again${changedAt === null ? "" : ", changed by others"}`}</output>
      <button onClick={() => echoes?.begin()}>{"begin"}</button>
      <button onClick={() => echoes?.end("succeeded")}>{"end"}</button>
    </>
  );
}

function open() {
  const live = new FakeLive();
  renderInOkno(<Page />, () => ({}), undefined, live);
  return live;
}
const changed = (live: FakeLive) => act(() => live.tell({ employeeChanged: { id: "E1" } }));
const shows = (text: string) => waitFor(() => expect(screen.getByRole("status").textContent).toBe(text));

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test("several changes by others at once are read once", async () => {
  const live = open();
  expect(live.variables).toEqual([{ employee: "E1" }]);
  changed(live);
  changed(live);
  await shows("read 1 times again, changed by others");
});

test("one's own deed is no change by others", async () => {
  const live = open();
  act(() => screen.getByText("begin").click());
  changed(live);
  act(() => screen.getByText("end").click());
  act(() => live.resume());
  await shows("read 1 times again");
});

test("a window that nobody sees reads when it is looked at", () => {
  vi.useFakeTimers();
  const live = open();
  const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  changed(live);
  act(() => void vi.advanceTimersByTime(60_000));
  expect(screen.getByRole("status").textContent).toBe("read 0 times again");
  hidden.mockReturnValue(false);
  act(() => void document.dispatchEvent(new Event("visibilitychange")));
  expect(screen.getByRole("status").textContent).toBe("read 1 times again, changed by others");
});
