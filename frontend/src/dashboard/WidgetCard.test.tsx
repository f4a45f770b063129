import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";

import { type Answer, renderInOkno } from "../test-kit";
import type * as Registry from "../views/registry";
import { ActionsContext, type Offer } from "./actions";
import type { Manifest } from "./manifest";
import { type Widget, WidgetCard } from "./WidgetCard";

vi.mock("../views/registry", async (importOriginal) => {
  const { findView } = await importOriginal<typeof Registry>();
  const Bomb = () => {
    throw new Error("a defect of the view");
  };
  return { findView: (manifest: Manifest) => (manifest.view === "bomb" ? Bomb : findView(manifest)) };
});

const widget = (more: Partial<Widget> = {}, manifest: object = {}): Widget => ({
  id: "domain-account",
  version: 1,
  view: "facts",
  slot: "employee-card",
  documentId: "sha256:a-widget",
  manifest: {
    title: { en: "Domain account", ru: "Учётная запись" },
    section: "employee.domain",
    fields: [
      { path: "employee.domain.login", label: { en: "Login" }, format: "copy" },
      { path: "employee.domain.locked", label: { en: "Locked" }, format: "boolean" },
    ],
    actions: ["domain.unlock"],
    size: { w: 6, h: 8 },
    ...manifest,
  },
  ...more,
});
const section = (state: string, code: string | null = null, more: object = {}): Answer => ({
  data: {
    employee: {
      id: "E1",
      domain: {
        meta: {
          state,
          source: "domain",
          sourceTitle: { en: "Domain" },
          asOf: null,
          error: code && { code, message: "internal words" },
        },
        login: "ivan.petrov",
        locked: true,
        ...more,
      },
    },
  },
});
const card = () => screen.getByTestId("widget-domain-account");
const face = (name: string) => waitFor(() => expect(card().dataset["face"]).toBe(name));

test("facts are shown in their formats, with the source in the corner", async () => {
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => section("OK"));
  await face("ok");
  expect(card().textContent).toContain("ivan.petrov");
  expect(card().textContent).toContain("Yes");
  expect(screen.getByTestId("corner").textContent).toContain("Domain");
});

test("while it waits, the card has the height it will have", () => {
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => new Promise<Answer>(() => undefined));
  expect(card().dataset["face"]).toBe("loading");
  expect(card().style.getPropertyValue("--h")).toBe("8");
});

test("a failed source says so, keeps developers' words to itself, and can be asked again", async () => {
  let asked = 0;
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () =>
    ++asked === 1 ? section("FAILED", "TIMEOUT", { login: null, locked: null }) : section("OK"),
  );
  await face("failed");
  expect(card().textContent).toContain("The system did not answer in time.");
  expect(card().textContent).not.toContain("internal words");
  await userEvent.click(screen.getByRole("button", { name: "Retry" }));
  await face("ok");
});

test("stale data is shown as old", async () => {
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => section("STALE", "UNREACHABLE"));
  await face("stale");
  expect(card().textContent).toContain("ivan.petrov");
  expect(screen.getByTestId("corner").dataset["tone"]).toBe("stale");
  expect(screen.getByRole("note").textContent).toContain("The last known state");
});

test("a value to which the manifest gives a tone stands out, another one does not", async () => {
  const path = "employee.domain.locked";
  const alert = { path, label: { en: "Locked" }, format: "alert", tones: { warning: [true] } };
  const { unmount } = renderInOkno(<WidgetCard widget={widget({}, { fields: [alert] })} employee="E1" />, () =>
    section("OK"),
  );
  await face("ok");
  const line = () => card().querySelector<HTMLElement>(`[data-field="${path}"]`);
  expect(line()?.dataset["tone"]).toBe("warning");
  expect(line()?.textContent).toBe("LockedYes");
  unmount();
  renderInOkno(<WidgetCard widget={widget({}, { fields: [alert] })} employee="E1" />, () =>
    section("OK", null, { locked: false }),
  );
  await face("ok");
  expect(line()?.dataset["tone"]).toBeUndefined();
  expect(line()?.textContent).toBe("LockedNo");
});

test("a denied section is locked and names the rule", async () => {
  const gate = [
    { path: "employee.domain", decision: "deny", rule: "domain.identity", reason: "only identity reads accounts" },
  ];
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => ({
    ...section("DENIED", null, { login: null, locked: null }),
    extensions: { gate },
  }));
  await face("denied");
  expect(card().textContent).toContain("only identity reads accounts");
});

test("a denied field is locked where it stands, the rest is shown", async () => {
  const gate = [{ path: "employee.domain.locked", decision: "deny", rule: null, reason: null }];
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => ({
    ...section("OK", null, { locked: null }),
    extensions: { gate },
  }));
  await face("ok");
  expect(screen.getByTestId("locked").title).toBe("No rule of the policy allows it.");
  await userEvent.click(screen.getByTestId("locked"));
  expect(await screen.findByRole("tooltip")).toBeTruthy();
  expect(card().textContent).toContain("ivan.petrov");
});

test("a widget of an unknown view is a visible card", () => {
  renderInOkno(<WidgetCard widget={widget({ view: "hologram" })} employee="E1" />, () => section("OK"));
  expect(card().textContent).toContain("hologram");
});

test("a drawing that throws costs its own card only", async () => {
  const silence = (event: Event) => event.preventDefault();
  window.addEventListener("error", silence);
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  renderInOkno(<WidgetCard widget={widget({ view: "bomb" })} employee="E1" />, () => section("OK"));
  expect(await screen.findByText("This widget could not be drawn")).toBeTruthy();
  expect(screen.getByRole("heading", { name: "Domain account" })).toBeTruthy();
  logged.mockRestore();
  window.removeEventListener("error", silence);
});

test("only actions that the server offers are on the card", async () => {
  const unlock: Offer = {
    id: "domain.unlock",
    title: { en: "Unlock" },
    source: "domain",
    sourceTitle: {},
    risk: "low",
    inputSchema: {},
    secondFactor: false,
  };
  const open = vi.fn();
  const { unmount } = renderInOkno(
    <ActionsContext.Provider value={{ offers: [unlock], open }}>
      <WidgetCard widget={widget()} employee="E1" />
    </ActionsContext.Provider>,
    () => section("OK"),
  );
  await userEvent.click(await screen.findByRole("button", { name: "Unlock" }));
  expect(open).toHaveBeenCalledWith(unlock);
  unmount();
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => section("OK"));
  await face("ok");
  expect(screen.queryByRole("button", { name: "Unlock" })).toBeNull();
});

test("a masked value is dotted, without a button that copies it, and says why", async () => {
  const reason = "support sees the first letter";
  const answer = section("OK", null, { login: "i•••" });
  const gate = [{ path: "employee.domain.login", decision: "mask", rule: "people.first", reason }];
  renderInOkno(<WidgetCard widget={widget()} employee="E1" />, () => ({ ...answer, extensions: { gate } }));
  const masked = await screen.findByTestId("masked");
  expect(masked.textContent).toBe("i•••");
  expect(masked.getAttribute("aria-label")).toBe(`Partly hidden, this much is shown: i. Rule: ${reason}`);
  expect(masked.title).toBe(`Rule: ${reason}`);
  expect(screen.queryByTitle(/Copy/)).toBeNull();
  expect(screen.queryByTestId("locked")).toBeNull();
  await userEvent.click(masked);
  expect((await screen.findByRole("tooltip")).textContent).toBe(`Rule: ${reason}`);
});
