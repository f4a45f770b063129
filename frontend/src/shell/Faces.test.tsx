import { screen } from "@testing-library/react";
import { expect, test } from "vitest";

import { renderInOkno } from "../test-kit";
import { BrokenFace } from "./Faces";

test("a part that an update took away asks to reload, where a defect offers to try again", () => {
  const draw = () => renderInOkno(<BrokenFace onRetry={() => undefined} />, () => ({}));
  const { unmount } = draw();
  expect(screen.getByRole("button", { name: "Retry" })).toBeTruthy();
  unmount();
  window.dispatchEvent(new Event("vite:preloadError"));
  draw();
  expect(screen.getByTestId("outdated")).toBeTruthy();
  expect(screen.getByRole("button", { name: "Reload" })).toBeTruthy();
});
