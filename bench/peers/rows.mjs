// What every peer serves: the rows that the bench wrote, with the types that Okno's schema gives them.
import { readFileSync } from "node:fs";
import { GraphQLScalarType } from "graphql";

const rows = JSON.parse(readFileSync(process.env.BENCH_ROWS, "utf8"));

// Moments are objects in Okno's process, not texts, so they are here too.
for (const employee of rows) {
  employee.indexedAt = new Date(employee.indexedAt);
  employee.sections.hr.hireDate = new Date(employee.sections.hr.hireDate);
  employee.sections.directory.modifiedAt = new Date(employee.sections.directory.modifiedAt);
  employee.sections.domain.passwordChangedAt = new Date(employee.sections.domain.passwordChangedAt);
}
const sections = new Map(rows.map((employee) => [employee.id, employee.sections]));

export const typeDefs = /* GraphQL */ `
  scalar DateTime
  scalar Date
  enum EmployeeState { WORKS ON_LEAVE LEAVING DISMISSED }
  type HrSection { fullName: String position: String department: String hireDate: Date state: String }
  type DirectorySection { userName: String displayName: String email: String active: Boolean modifiedAt: DateTime }
  type DomainSection { login: String enabled: Boolean locked: Boolean failedLogons: Int passwordChangedAt: DateTime }
  type Employee {
    id: ID!
    displayName: String
    login: String
    email: String
    position: String
    country: String
    workPhone: String
    state: EmployeeState
    protected: Boolean
    indexedAt: DateTime
    hr: HrSection!
    directory: DirectorySection!
    domain: DomainSection!
  }
  type Query { benchEmployees(first: Int!): [Employee!]! }
`;

export const scalars = {
  DateTime: new GraphQLScalarType({ name: "DateTime", serialize: (value) => value.toISOString() }),
  Date: new GraphQLScalarType({ name: "Date", serialize: (value) => value.toISOString().slice(0, 10) }),
};

export const SECTIONS = ["hr", "directory", "domain"];

export const query = { benchEmployees: (_root, { first }) => (first === rows.length ? rows : rows.slice(0, first)) };

// A warm source: everything asked for in one batch is at hand.
export const readSections = (name, ids) => ids.map((id) => sections.get(id)[name]);

export const listening = (server) => {
  process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`);
  process.on("SIGTERM", () => process.exit(0));
};
