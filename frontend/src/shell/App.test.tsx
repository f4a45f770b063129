import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { createI18n, I18nContext } from "../i18n";
import en from "../i18n/en.json";
import type { Catalogue } from "../i18n/messages";
import { ME } from "../test-kit";
import { App } from "./App";
import { ThemeRoot } from "./theme";

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** A server with one session that can end; counts what it was asked for. */
function startServer(permissions: string[]) {
  const state = { login: null as string | null, valid: false, csrf: 1, headers: [] as (string | null)[] };
  const people = ["anna.sorokina", "vera.lis"];
  const session = () => ({
    signedIn: state.valid,
    csrfToken: state.valid ? `csrf-${state.csrf}` : null,
    methods: ["development"],
    displayName: state.login,
    login: state.valid ? state.login : null,
    team: "first-line",
    teams: [],
  });
  vi.stubGlobal("fetch", (input: string | URL | globalThis.Request, init?: RequestInit) => {
    const path = new URL(input instanceof Request ? input.url : input, "http://localhost").pathname;
    if (path === "/auth/session") return Promise.resolve(json(session()));
    if (path === "/auth/people") {
      return Promise.resolve(
        json(
          people.map((login) => ({
            login,
            displayName: login,
            team: { id: "first-line", title: { en: "First line" } },
            roles: ["operator"],
          })),
        ),
      );
    }
    if (path === "/auth/development") {
      Object.assign(state, {
        login: (JSON.parse(String(init?.body)) as { login: string }).login,
        valid: true,
        csrf: state.csrf + 1,
      });
      return Promise.resolve(json(session()));
    }
    state.headers.push(new Headers(init?.headers).get("X-Okno-CSRF"));
    if (!state.valid)
      return Promise.resolve(json({ errors: [{ message: "no", extensions: { code: "UNAUTHENTICATED" } }] }, 401));
    const { operationName } = JSON.parse(String(init?.body)) as { operationName: string };
    if (operationName === "Me")
      return Promise.resolve(
        json({ data: { me: { ...ME, id: `person:${state.login}`, displayName: state.login, permissions } } }),
      );
    return Promise.resolve(json({ data: { employees: { edges: [], pageInfo: { hasNextPage: false } } } }));
  });
  return state;
}

const open = () =>
  render(
    <I18nContext.Provider value={createI18n("en", en as Catalogue, () => undefined)}>
      <ThemeRoot>
        <App />
      </ThemeRoot>
    </I18nContext.Provider>,
  );

afterEach(() => vi.unstubAllGlobals());

test("only pages one may enter are offered, and others are refused", async () => {
  startServer(["people.search"]);
  window.history.replaceState(null, "", "/journal");
  open();
  await userEvent.click(await screen.findByTestId("sign-in-as-anna.sorokina"));
  expect(await screen.findByRole("link", { name: "People" })).toBeTruthy();
  expect(screen.queryByRole("link", { name: "Journal" })).toBeNull();
  expect(await screen.findByTestId("denied")).toBeTruthy();
});

test("every request to the API carries the session's CSRF token", async () => {
  const server = startServer(["people.search"]);
  open();
  await userEvent.click(await screen.findByTestId("sign-in-as-anna.sorokina"));
  await screen.findByTestId("search-hint");
  expect(server.headers).toEqual(["csrf-2"]);
});

test("when the session ends, one signs in again and goes on where one was", async () => {
  const server = startServer(["people.search"]);
  open();
  await userEvent.click(await screen.findByTestId("sign-in-as-anna.sorokina"));
  const field = await screen.findByRole("combobox", { name: "Search for an employee" });
  server.valid = false;
  await userEvent.type(field, "ivan");
  expect(await screen.findByText("Your session has ended")).toBeTruthy();
  expect((field as HTMLInputElement).value).toBe("ivan");
  await userEvent.click(await screen.findByTestId("sign-in-as-anna.sorokina"));
  expect(await screen.findByTestId("no-results")).toBeTruthy();
  expect(screen.queryByText("Your session has ended")).toBeNull();
  expect(field.isConnected).toBe(true);
  expect(server.headers.at(-1)).toBe("csrf-3");
});

test("when somebody else signs in, nothing of the former person's stays", async () => {
  const server = startServer(["people.search"]);
  open();
  await userEvent.click(await screen.findByTestId("sign-in-as-anna.sorokina"));
  const field = await screen.findByRole("combobox", { name: "Search for an employee" });
  server.valid = false;
  await userEvent.type(field, "ivan");
  await userEvent.click(await screen.findByTestId("sign-in-as-vera.lis"));
  await waitFor(() => expect(screen.getByTestId("user-menu").textContent).toContain("vera.lis"));
  expect(field.isConnected).toBe(false);
});

test("why a sign-in was refused is told once, and does not stay in the address", async () => {
  startServer([]);
  window.history.replaceState(null, "", "/people?signInError=NO_TEAM&q=a");
  open();
  expect((await screen.findByRole("alert")).textContent).toContain("You are in no team");
  expect(window.location.search).toBe("?q=a");
});

test("a record opens without the permission for the journal; the server decides whose it is", async () => {
  startServer(["people.search"]);
  window.history.replaceState(null, "", "/journal/record-1");
  open();
  await userEvent.click(await screen.findByTestId("sign-in-as-anna.sorokina"));
  expect(await screen.findByTestId("journal-record")).toBeTruthy();
  expect(screen.queryByTestId("denied")).toBeNull();
});
