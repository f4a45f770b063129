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

test("a mask is no denial, and says by which rule", () => {
  const gate = read(
    entry("employee.hr.personalPhone", { decision: "mask", rule: "people.caller", reason: "the end of the number" }),
    entry("employee.login", {
      decision: "conditional",
      allowed: 0,
      masked: 1,
      denied: 0,
      mask: { rule: "m", reason: "first letter" },
    }),
  );
  expect(gate.denialOf("employee.login")).toBeNull();
  expect(gate.maskOf("employee.hr.personalPhone", "•••• 4567")?.reason).toBe("the end of the number");
  expect(gate.maskOf("employee.login", "i•••")?.reason).toBe("first letter");
  expect(gate.maskOf("employee.login", null)).toBeNull();
});

test("of a list whose rows differ each is told by what it shows", () => {
  const path = "employees.edges[].node.workPhone";
  const gate = read(entry(path, { decision: "conditional", allowed: 1, masked: 2, denied: 1 }));
  expect(gate.denialOf(path)).toBeNull();
  expect(gate.maskOf(path, "•••• 4567")).not.toBeNull();
  expect(gate.maskOf(path, "+7 495 111-22-33")).toBeNull();
  expect(gate.maskOf(path, ["•••", "x"])).not.toBeNull();
});

test("dots in a value that the gate let through are no mask", () => {
  const gate = read(entry("employee.position", { decision: "allow" }));
  expect(gate.maskOf("employee.position", "to be ••• defined")).toBeNull();
});

test("who sees nothing of some rows and masks of the others is not shut out", () => {
  const more = { decision: "conditional", allowed: 0, masked: 1, denied: 1 };
  expect(read(entry("employee.login", more)).denialOf("employee.login")).toBeNull();
  expect(read(entry("employee.login", { ...more, masked: 0 })).denialOf("employee.login")).not.toBeNull();
});

test("an answer without a report denies nothing", () => {
  expect(readGate(undefined).denialOf("employee")).toBeNull();
  expect(readGate({ gate: "?" }).denialOf("employee")).toBeNull();
});
