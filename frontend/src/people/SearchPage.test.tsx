import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";

import { type Answer, renderInOkno, type Request } from "../test-kit";
import SearchPage from "./SearchPage";

const person = (login: string, displayName: string, more: object = {}) => ({
  node: {
    id: login,
    displayName,
    latinName: null,
    login,
    email: null,
    position: "Engineer",
    department: "Data",
    city: "Moscow",
    country: "RU",
    workPhone: "+7 495 123-45-67",
    state: "WORKS",
    protected: false,
    ...more,
  },
});
const found = (...edges: object[]): Answer => ({ data: { employees: { edges, pageInfo: { hasNextPage: false } } } });

function open(server: (request: Request) => Answer) {
  const requests: Request[] = [];
  renderInOkno(<SearchPage />, (request) => {
    requests.push(request);
    return server(request);
  });
  return { requests, field: screen.getByRole("combobox", { name: "Search for an employee" }), user: userEvent.setup() };
}

test("before anything is typed, the page tells what can be", () => {
  const { requests, field } = open(() => found());
  expect(screen.getByTestId("search-hint")).toBeTruthy();
  expect(document.activeElement).toBe(field);
  expect(requests).toEqual([]);
});

test("typing asks once, after the pause, and says how many were found", async () => {
  const { requests, field, user } = open(() =>
    found(person("ivan.petrov", "Иван Петров", { latinName: "Ivan Petrov" })),
  );
  await user.type(field, "petrov");
  const row = await screen.findByRole("option");
  expect(requests.map(({ variables }) => variables["text"])).toEqual(["petrov"]);
  expect(row.textContent).toContain("Иван Петров");
  expect([...row.querySelectorAll("mark")].map((mark) => mark.textContent)).toEqual(["Petrov", "petrov"]);
  expect(within(row).getByText("Works")).toBeTruthy();
  expect(screen.getByTestId("search-status").textContent).toBe("1 person found");
});

test("arrows move, Enter opens the card", async () => {
  const { field, user } = open(() => found(person("a", "Anna A"), person("b", "Anna B")));
  await user.type(field, "anna");
  await screen.findAllByRole("option");
  await user.keyboard("{ArrowDown}{ArrowDown}{ArrowUp}{ArrowDown}");
  expect(field.getAttribute("aria-activedescendant")).toBe("found-1");
  await user.keyboard("{Enter}");
  expect(window.location.pathname).toBe("/people/b");
});

test("Enter pressed before the answer is here opens the first found when it is", async () => {
  const { requests, field, user } = open(() => found(person("a", "Anna A"), person("b", "Anna B")));
  await user.type(field, "anna{Enter}");
  expect(window.location.pathname).not.toBe("/people/a");
  await waitFor(() => expect(window.location.pathname).toBe("/people/a"));
  expect(requests.map(({ variables }) => variables["text"])).toEqual(["anna"]);
});

test("Enter pressed too early is forgotten when one types on", async () => {
  const { field, user } = open(({ variables }) => found(person(String(variables["text"]), "Anna")));
  await user.type(field, "anna{Enter} s");
  expect((await screen.findByRole("option")).getAttribute("href")).toContain("anna%20s");
  expect(window.location.pathname).not.toContain("/people/");
});

test("what was searched is in the address, and Escape clears it", async () => {
  const { field, user } = open(() => found());
  await user.type(field, "anna");
  expect(window.location.search).toBe("?q=anna");
  await user.keyboard("{Escape}");
  expect(window.location.search).toBe("");
});

test("nobody found is not an error", async () => {
  const { field, user } = open(() => found());
  await user.type(field, "nobody");
  expect(await screen.findByTestId("no-results")).toBeTruthy();
});

test("a failed search keeps what was typed and can be repeated", async () => {
  let asked = 0;
  const { field, user } = open(() =>
    ++asked === 1
      ? { errors: [{ message: "x", extensions: { code: "INTERNAL", requestId: "R-1" } }] }
      : found(person("a", "Anna")),
  );
  await user.type(field, "anna");
  expect((await screen.findByTestId("failed")).textContent).toContain("R-1");
  await user.click(screen.getByRole("button", { name: "Retry" }));
  await waitFor(() => expect(screen.getAllByRole("option")).toHaveLength(1));
  expect((field as HTMLInputElement).value).toBe("anna");
});

test("somebody whose data may not be copied is shown by number, with the reason", async () => {
  const abroad = { personnelNumber: "100542", heldAbroad: true, displayName: null, login: null, country: "KZ" };
  const { field, user } = open(() => found(person("x", "", abroad)));
  await user.type(field, "100542");
  const row = await screen.findByRole("option");
  expect(row.textContent).toContain("100542");
  expect(within(row).getByText("Data kept in Kazakhstan")).toBeTruthy();
});

test("a masked phone is neither marked nor a promise that it was found by what one sees", async () => {
  const line = { path: "employees.edges[].node.workPhone", decision: "conditional", allowed: 1, masked: 1, denied: 0 };
  const mask = { rule: "people.contacts", reason: "contacts are masked" };
  const { field, user } = open(() => ({
    ...found(person("a", "Anna A", { workPhone: "•••• 4567" }), person("b", "Anna B")),
    extensions: { gate: [{ ...line, rule: null, reason: null, mask }] },
  }));
  await user.type(field, "4567");
  const [masked, whole] = await screen.findAllByRole("option");
  expect([...(masked?.querySelectorAll("mark") ?? [])]).toEqual([]);
  expect([...(whole?.querySelectorAll("mark") ?? [])].map((mark) => mark.textContent)).toEqual(["45-67"]);
  const shown = within(masked ?? document.body).getByTestId("masked");
  expect(shown.title).toBe("Rule: contacts are masked");
  expect(shown.textContent).toContain("Partly hidden, this much is shown: 4567. Rule: contacts are masked");
});
