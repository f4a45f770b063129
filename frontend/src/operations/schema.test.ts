import { expect, test } from "vitest";

import { groupChanges, listDifference } from "./difference";
import { complaintAbout, type FormField, initialValues, readForm, toInput, UnsupportedSchema } from "./schema";

const title = { en: "Title", ru: "Название" };
const schema = {
  type: "object",
  additionalProperties: false,
  required: ["group", "days"],
  properties: {
    group: { type: "string", enum: ["a", "b"], "x-title": title, "x-enum-titles": { a: { en: "A" } } },
    days: { type: "integer", minimum: 1, maximum: 90, "x-title": title },
    notify: { type: "boolean", "x-title": title },
    reason: { type: "string", maxLength: 300, minLength: 3, "x-title": title },
    code: { type: "string", pattern: "^[A-Z]+$", "x-title": title, default: "OK" },
  },
};
const fields = readForm(schema);
const field = (name: string): FormField => {
  const found = fields.find((each) => each.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

test("the kinds of field follow from the schema", () => {
  expect(fields.map(({ kind }) => kind)).toEqual(["choice", "integer", "boolean", "long-text", "text"]);
  expect(field("group").choices).toEqual([
    { value: "a", title: { en: "A" } },
    { value: "b", title: "b" },
  ]);
  expect(initialValues(fields)).toEqual({ group: null, days: null, notify: false, reason: null, code: "OK" });
});

test("what the schema refuses is complained about before it is sent", () => {
  expect(complaintAbout(field("group"), null)).toBe("required");
  expect(complaintAbout(field("group"), "c")).toBe("choice");
  expect([0, 91, 1.5, 30].map((days) => complaintAbout(field("days"), days))).toEqual([
    "minimum",
    "maximum",
    "integer",
    null,
  ]);
  expect(["ab", "abc", "x".repeat(301), ""].map((text) => complaintAbout(field("reason"), text))).toEqual([
    "too_short",
    null,
    "too_long",
    null,
  ]);
  expect(complaintAbout(field("code"), "low")).toBe("pattern");
});

test("characters are counted as people see them", () => {
  expect(complaintAbout({ ...field("reason"), minLength: 0, maxLength: 2 }, "😀😀")).toBeNull();
});

test("what was left empty is not sent", () => {
  expect(toInput({ group: "a", days: 3, notify: false, reason: "", code: null })).toEqual({
    group: "a",
    days: 3,
    notify: false,
  });
});

test("a schema that no form here can ask is refused, not half asked", () => {
  expect(() => readForm({ properties: { list: { type: "array" } } })).toThrow(UnsupportedSchema);
  expect(readForm({ type: "object", properties: {} })).toEqual([]);
});

test("of lists only what comes and goes is shown", () => {
  expect(listDifference(["a", "b"], ["b", "c"])).toEqual({ added: ["c"], removed: ["a"], kept: 1 });
  expect(listDifference(null, ["a"])).toEqual({ added: ["a"], removed: [], kept: 0 });
  expect(listDifference(true, false)).toBeNull();
});

test("changes are grouped by the system they happen in", () => {
  const change = (source: string) => ({ source, sourceTitle: { en: source }, title: {}, before: 1, after: 2 });
  expect(
    groupChanges([change("domain"), change("mail"), change("domain")]).map(({ source, changes }) => [
      source,
      changes.length,
    ]),
  ).toEqual([
    ["domain", 2],
    ["mail", 1],
  ]);
});
