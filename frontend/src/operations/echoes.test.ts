import { expect, test } from "vitest";

import { Echoes } from "./echoes";

function world() {
  const state = { now: 1000, changes: [] as string[] };
  const echoes = new Echoes(
    (byOthers) => state.changes.push(byOthers ? "others" : "oneself"),
    () => state.now,
  );
  return { state, echoes };
}

test("an event of nobody's deed here is somebody else's", () => {
  const { state, echoes } = world();
  echoes.event();
  expect(state.changes).toEqual(["others"]);
});

test("the echo of one's own deed is none, before its answer or after", () => {
  const { state, echoes } = world();
  echoes.begin();
  echoes.event();
  echoes.end("succeeded");
  echoes.begin();
  echoes.end("succeeded");
  echoes.event();
  expect(state.changes).toEqual([]);
  echoes.event();
  expect(state.changes).toEqual(["others"]);
});

test("what came while a deed failed was not of it", () => {
  const { state, echoes } = world();
  echoes.begin();
  echoes.event();
  expect(state.changes).toEqual([]);
  echoes.end("failed");
  expect(state.changes).toEqual(["others"]);
});

test("a deed whose answer was lost is seen by its echo, and is no change by others", () => {
  const { state, echoes } = world();
  echoes.begin();
  echoes.event();
  echoes.end("lost");
  echoes.begin();
  echoes.end("lost");
  echoes.event();
  expect(state.changes).toEqual(["oneself", "oneself"]);
});

test("an echo that never came is not waited for", () => {
  const { state, echoes } = world();
  echoes.begin();
  echoes.end("succeeded");
  state.now += 6000;
  echoes.event();
  expect(state.changes).toEqual(["others"]);
});
