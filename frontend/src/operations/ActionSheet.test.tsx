import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";

import { type Answer, renderInOkno, type Request } from "../test-kit";
import { ActionSheet } from "./ActionSheet";

const system = { source: "domain", sourceTitle: { en: "Domain", ru: "Домен" } };
const unlocked = { ...system, title: { en: "Locked", ru: "Заблокирована" }, before: true, after: false };
const offer = {
  id: "domain.unlock",
  title: { en: "Unlock the account", ru: "Разблокировать" },
  risk: "low",
  secondFactor: false,
  inputSchema: {
    type: "object",
    properties: { reason: { type: "string", "x-title": { en: "Reason", ru: "Причина" } } },
  },
  ...system,
};
const previewed: Answer = { data: { operationPreview: { changes: [unlocked], previewToken: "token", errors: [] } } };
const ran = (more: object): Answer => ({
  data: {
    operationRun: {
      outcome: "SUCCEEDED",
      changes: [unlocked],
      journalRecord: "record-1",
      replayed: false,
      errors: [],
      ...more,
    },
  },
});

function open(
  run: (attempt: number, request: Request) => Answer,
  permissions: string[] = [],
  schema: unknown = offer.inputSchema,
) {
  const requests: Request[] = [];
  const inputs = (name: string) =>
    requests
      .filter(({ operationName }) => operationName === name)
      .map(({ variables }) => variables["input"] as Record<string, unknown>);
  renderInOkno(
    <ActionSheet
      offer={{ ...offer, inputSchema: schema }}
      employee="E1"
      name="Ivan Petrov"
      firstField={{ current: null }}
      onBack={null}
      onClose={() => undefined}
    />,
    (request) => {
      requests.push(request);
      return request.operationName === "RunOperation" ? run(inputs("RunOperation").length, request) : previewed;
    },
    permissions,
  );
  return { inputs, user: userEvent.setup() };
}

const preview = "Show what will change";

test("nothing runs before one saw what will change, and the button names the deed", async () => {
  const { inputs, user } = open(() => ran({}), ["audit.read"]);
  expect(screen.queryByRole("button", { name: "Unlock the account" })).toBeNull();
  await user.type(screen.getByLabelText(/Reason/), "call 4711");
  await user.click(screen.getByRole("button", { name: preview }));
  const changes = await screen.findByTestId("changes");
  expect(changes.textContent).toContain("Locked");
  expect(inputs("PreviewOperation")[0]).toMatchObject({
    operation: "domain.unlock",
    employee: "E1",
    input: { reason: "call 4711" },
  });

  await user.click(screen.getByRole("button", { name: "Unlock the account" }));
  expect((await screen.findByTestId("result")).dataset["outcome"]).toBe("SUCCEEDED");
  expect(inputs("RunOperation")[0]).toMatchObject({ previewToken: "token", input: { reason: "call 4711" } });
  expect(screen.getByRole("link", { name: "Open the record in the journal" }).getAttribute("href")).toBe(
    "/journal/record-1",
  );
});

test("an operation without questions is previewed at once", async () => {
  open(() => ran({}), [], { type: "object", properties: {} });
  expect(await screen.findByRole("button", { name: "Unlock the account" })).toBeTruthy();
});

test("who may not open the journal is led to the record of the own deed all the same", async () => {
  const { user } = open(() => ran({}), [], { type: "object", properties: {} });
  await user.click(await screen.findByRole("button", { name: "Unlock the account" }));
  expect((await screen.findByRole("link", { name: /journal/ })).getAttribute("href")).toBe("/journal/record-1");
});

test("a group that the system does not know is not called a person", async () => {
  const unknown = ran({ outcome: "FAILED", errors: [{ code: "SOURCE_NOT_FOUND", message: "", field: null }] });
  const { user } = open(() => unknown, [], { type: "object", properties: {} });
  await user.click(await screen.findByRole("button", { name: "Unlock the account" }));
  const result = await screen.findByTestId("result");
  expect(result.textContent).toContain("does not know what was asked for");
});

test("a changed form needs a new look", async () => {
  const { user } = open(() => ran({}));
  await user.click(screen.getByRole("button", { name: preview }));
  await screen.findByTestId("changes");
  await user.type(screen.getByLabelText(/Reason/), "x");
  expect(screen.queryByRole("button", { name: "Unlock the account" })).toBeNull();
});

test("when the system changed meanwhile, the new difference is shown and must be looked at", async () => {
  const changed = ran({ outcome: "FAILED", errors: [{ code: "PREVIEW_CHANGED", message: "", field: null }] });
  const { inputs, user } = open((attempt) => (attempt === 1 ? changed : ran({})));
  await user.click(screen.getByRole("button", { name: preview }));
  await user.click(await screen.findByRole("button", { name: "Unlock the account" }));
  await user.click(await screen.findByRole("button", { name: "I have looked" }));
  await user.click(screen.getByRole("button", { name: "Unlock the account" }));
  await screen.findByTestId("result");
  const [first, second] = inputs("RunOperation");
  expect(first?.["idempotencyKey"]).not.toBe(second?.["idempotencyKey"]);
});

test("a lost answer is asked for with the same key, so that nothing is done twice", async () => {
  const { inputs, user } = open((attempt) => {
    if (attempt === 1) throw new TypeError("connection lost");
    return ran({ replayed: true });
  });
  await user.click(screen.getByRole("button", { name: preview }));
  await user.click(await screen.findByRole("button", { name: "Unlock the account" }));
  await user.click(await screen.findByRole("button", { name: "Ask how it ended" }));
  await screen.findByTestId("result");
  const keys = inputs("RunOperation").map((input) => input["idempotencyKey"]);
  expect(new Set(keys).size).toBe(1);
  expect(keys).toHaveLength(2);
});

test("an unknown outcome is called unknown, not failed", async () => {
  const unknown = ran({
    outcome: "UNKNOWN",
    changes: null,
    errors: [{ code: "SOURCE_TIMEOUT", message: "", field: null }],
  });
  const { user } = open(() => unknown);
  await user.click(screen.getByRole("button", { name: preview }));
  await user.click(await screen.findByRole("button", { name: "Unlock the account" }));
  const result = await screen.findByTestId("result");
  expect(result.dataset["outcome"]).toBe("UNKNOWN");
  expect(result.textContent).toContain("It is not known whether this was done");
});

test("a refusal is told in words, by its code", async () => {
  const refused = ran({
    outcome: null,
    changes: null,
    journalRecord: null,
    errors: [{ code: "DENIED", message: "", field: "operation" }],
  });
  const { user } = open(() => refused);
  await user.click(screen.getByRole("button", { name: preview }));
  await user.click(await screen.findByRole("button", { name: "Unlock the account" }));
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain("The policy does not allow this."));
  expect(screen.queryByTestId("result")).toBeNull();
});

test("a form this version cannot show says so and offers nothing", () => {
  open(() => ran({}), [], { type: "object", properties: { list: { type: "array" } } });
  expect(screen.getByText(/cannot be shown in this version/)).toBeTruthy();
  expect(screen.queryByRole("button", { name: preview })).toBeNull();
});

test("when it is already so, that is no failure", async () => {
  renderInOkno(
    <ActionSheet
      offer={offer}
      employee="E1"
      name="Ivan Petrov"
      firstField={{ current: null }}
      onBack={null}
      onClose={() => undefined}
    />,
    () => ({
      data: {
        operationPreview: {
          changes: null,
          previewToken: null,
          errors: [{ code: "NOTHING_TO_CHANGE", message: "", field: null }],
        },
      },
    }),
  );
  await userEvent.click(screen.getByRole("button", { name: preview }));
  expect(await screen.findByText(/It is already so/)).toBeTruthy();
  expect(screen.queryByTestId("changes")).toBeNull();
});
