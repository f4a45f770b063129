import { expect, test } from "vitest";

import { readGate } from "./gate";

const entry = (path: string, more: object) => ({ path, decision: "deny", rule: null, reason: null, ...more });
const read = (...gate: object[]) => readGate({ gate });

test("a denied field says by which rule", () => {
  const gate = read(entry("employee.hr.salary", { rule: "people.salary", reason: "only payroll sees salaries" }));
  expect(gate.denialOf("employee.hr.salary")?.reason).toBe("only payroll sees salaries");
  expect(gate.denialOf("employee.hr.position")).toBeNull();
});

test("what stands below a denied field is denied with it", () => {
  const gate = read(entry("employee.equipment.items", {}));
  expect(gate.denialOf("employee.equipment.items[].serial")).not.toBeNull();
  expect(gate.denialOf("employee.equipment.items")).not.toBeNull();
  expect(gate.denialOf("employee.equipment")).toBeNull();
});

test("a condition takes away only where no row met it", () => {
  expect(
    read(entry("employee.login", { decision: "conditional", allowed: 0, denied: 1 })).denialOf("employee.login"),
  ).not.toBeNull();
  expect(
    read(entry("employee.login", { decision: "conditional", allowed: 1, denied: 0 })).denialOf("employee.login"),
  ).toBeNull();
});

test("an answer without a report denies nothing", () => {
  expect(readGate(undefined).denialOf("employee")).toBeNull();
  expect(readGate({ gate: "?" }).denialOf("employee")).toBeNull();
});
