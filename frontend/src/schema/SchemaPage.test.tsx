import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test } from "vitest";

import { type Answer, renderInOkno, type Request } from "../test-kit";
import SchemaPage from "./SchemaPage";

const AT = "2026-11-20T10:00:00+00:00";

const client = (name: string, more: object = {}) => ({
  name,
  version: null,
  principalKind: "SERVICE",
  principal: `${name}-service`,
  operations: 5,
  lastSeenAt: AT,
  ...more,
});

const part = (coordinate: string, more: object = {}) => ({
  node: {
    coordinate,
    kind: coordinate.includes("(") ? "ARGUMENT" : "FIELD",
    deprecationReason: null,
    removalDate: null,
    operations: 0,
    lastSeenAt: null,
    clientCount: 0,
    clients: [] as object[],
    ...more,
  },
});

const usedBy = (...clients: ReturnType<typeof client>[]) => ({
  operations: clients.reduce((sum, { operations }) => sum + operations, 0),
  lastSeenAt: AT,
  clientCount: clients.length,
  clients,
});

const page = (edges: object[], more: object = {}): Answer => ({
  data: {
    schemaUsage: {
      edges,
      pageInfo: { hasNextPage: false, endCursor: null },
      totalCount: edges.length,
      recordedSince: "2026-11-01",
      ...more,
    },
  },
});

function open(server: (request: Request) => Answer) {
  const requests: Request[] = [];
  renderInOkno(<SchemaPage />, (request) => {
    requests.push(request);
    return server(request);
  });
  return { requests, user: userEvent.setup() };
}

const row = (coordinate: string) => {
  const found = screen.getAllByTestId("schema-part").find((each) => each.dataset["coordinate"] === coordinate);
  if (found === undefined) throw new Error(`no row ${coordinate}`);
  return found;
};

beforeEach(() => window.history.replaceState(null, "", "/schema"));

test("parts stand under their types, with how much they are used and by whom", async () => {
  open(() =>
    page([
      part("Employee.login", usedBy(client("reports", { operations: 1200 }), client("a"), client("b"))),
      part("Employee.state"),
      part("Query.employees(first:)", usedBy(client("web", { principal: null, principalKind: "SESSION" }))),
    ]),
  );
  const types = await screen.findAllByRole("rowheader");
  expect(types.map(({ textContent }) => textContent)).toEqual(["Employee", "Query"]);
  expect(row("Employee.login").textContent).toContain("1,210");
  expect(row("Employee.login").textContent).toContain("reports, a, 1 more");
  expect(row("Employee.state").textContent).toContain("nobody");
  expect(within(row("Employee.state")).queryByRole("button")).toBeNull();
  expect(row("Query.employees(first:)").textContent).toContain("employees(first:)");
  expect(screen.getByRole("status").textContent).toContain("3 of 3 parts · recorded since");
});

test("a row opens to every client, with who vouches for it, and leads to all that the client uses", async () => {
  const { requests, user } = open(() =>
    page([part("Employee.login", usedBy(client("reports", { version: "1.4" }), client("*", { principal: "tool" })))]),
  );
  const opener = within(await screen.findByTestId("schema-part")).getByRole("button");
  expect(opener.getAttribute("aria-expanded")).toBe("false");
  await user.click(opener);
  const clients = screen.getByTestId("schema-clients");
  expect(clients.textContent).toContain("service reports-service");
  expect(clients.textContent).toContain("other names");
  await user.click(within(clients).getByRole("button", { name: "reports/1.4" }));
  await waitFor(() => expect(requests.at(-1)?.variables["client"]).toBe("reports/1.4"));
  expect(window.location.search).toBe("?client=reports%2F1.4");
  await user.click(screen.getByRole("button", { name: "Any client" }));
  await waitFor(() => expect(requests.at(-1)?.variables["client"]).toBeNull());
});

test("what is deprecated says until when, and what to use instead", async () => {
  const { user } = open(() =>
    page([
      part("Employee.phone", { deprecationReason: "Until 2027-03-01: use workPhone.", removalDate: "2027-03-01" }),
      part("Employee.fax", { deprecationReason: "Nobody has one." }),
    ]),
  );
  await screen.findByTestId("schema-usage");
  expect(row("Employee.phone").textContent).toMatch(/Kept until .*2027/);
  expect(row("Employee.fax").textContent).toContain("Deprecated");
  await user.click(within(row("Employee.phone")).getByRole("button"));
  expect(screen.getByTestId("schema-clients").textContent).toContain("use workPhone");
});

test("filters are asked of the server and stand in the address", async () => {
  window.history.replaceState(null, "", "/schema?days=90&unused=");
  const { requests, user } = open(() => page([part("Employee.state")]));
  await screen.findByTestId("schema-usage");
  expect(requests.at(-1)?.variables).toMatchObject({ days: 90, unusedOnly: true, deprecatedOnly: false, search: null });
  await user.click(screen.getByRole("button", { name: "Deprecated" }));
  await user.type(screen.getByRole("textbox", { name: "Type, field or argument" }), "state");
  await waitFor(() =>
    expect(requests.at(-1)?.variables).toMatchObject({ days: 90, deprecatedOnly: true, search: "state" }),
  );
  expect(window.location.search).toBe("?q=state&days=90&deprecated=&unused=");
});

test("more is loaded behind what is there", async () => {
  const { user, requests } = open(({ variables }) =>
    variables["after"] === null
      ? page([part("Employee.login")], { pageInfo: { hasNextPage: true, endCursor: "c1" }, totalCount: 2 })
      : page([part("Employee.state")], { totalCount: 2 }),
  );
  await user.click(await screen.findByRole("button", { name: "Show more" }));
  await waitFor(() => expect(screen.getAllByTestId("schema-part")).toHaveLength(2));
  expect(requests.at(-1)?.variables["after"]).toBe("c1");
  expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
});

test("nothing deprecated is good news, nothing found leads back to everything", async () => {
  const { user, requests } = open(() => page([], { recordedSince: null }));
  expect((await screen.findByTestId("empty")).textContent).toContain("No part of the schema fits");
  await user.click(screen.getByRole("button", { name: "Deprecated" }));
  expect(await screen.findByText("Nothing is deprecated")).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "Show all" }));
  await waitFor(() => expect(requests.at(-1)?.variables["deprecatedOnly"]).toBe(false));
});

test("a failure can be repeated, and a later one keeps what is shown", async () => {
  let broken = true;
  const { user } = open(() =>
    broken
      ? { errors: [{ message: "x", extensions: { code: "UNAVAILABLE", requestId: "R-1" } }] }
      : page([part("Employee.login")]),
  );
  expect((await screen.findByTestId("failed")).textContent).toContain("R-1");
  broken = false;
  await user.click(screen.getByRole("button", { name: "Retry" }));
  await screen.findByTestId("schema-usage");
  broken = true;
  await user.click(screen.getByRole("button", { name: "Read again" }));
  expect((await screen.findByRole("alert")).textContent).toContain("could not be read");
  expect(screen.getAllByTestId("schema-part")).toHaveLength(1);
});

test("who may not is told by which rule", async () => {
  open(() => ({
    data: { schemaUsage: null },
    extensions: { gate: [{ path: "schemaUsage", decision: "deny", rule: null, reason: null }] },
  }));
  expect(await screen.findByTestId("denied")).toBeTruthy();
});
