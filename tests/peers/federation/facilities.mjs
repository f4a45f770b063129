// A second subgraph, as another team would write it: desks and rooms. It knows employees by Okno's ids alone.
import { buildSchema } from "graphql";

const OWN_TYPES = `
  type Query {
    room(name: String!): Room
    desksOf(employees: [ID!]!): [Employee!]!
  }

  type Room {
    name: String!
    responsible: Employee
  }
`;
const EMPLOYEE_FIELDS = `{
    id: ID! @external
    login: String @external
    desk: String
    badge: String @requires(fields: "login")
  }
`;

/** What it tells a router. */
export const FACILITIES_SDL = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@external", "@requires"])
  ${OWN_TYPES}
  extend type Employee @key(fields: "id") ${EMPLOYEE_FIELDS}
`;

/** What it executes: the same types, and the two fields by which a router asks for entities. */
export const facilitiesSchema = buildSchema(`
  directive @external on FIELD_DEFINITION
  directive @requires(fields: String!) on FIELD_DEFINITION
  ${OWN_TYPES.replace("type Query {", "type Query {\n _entities(representations: [_Any!]!): [Employee]!")}
  type Employee ${EMPLOYEE_FIELDS}
  scalar _Any
`);

/**
 * Its data: the desk of each employee, and who is responsible for the rooms.
 *
 * @param {Record<string, string>} desks desks by the employee's id
 * @param {Record<string, string>} rooms the responsible employee's id by the room's name
 * @param {(headers: { authorization?: string }) => void} heard is told of every request
 */
export function facilitiesRoot(desks, rooms, heard) {
  const employee = ({ id, login }) => ({
    __typename: "Employee",
    id,
    desk: desks[id] ?? null,
    badge: login ? `${login}, desk ${desks[id]}` : null,
  });
  return {
    _entities: ({ representations }, context) => {
      heard({ ...context, representations });
      return representations.map(employee);
    },
    room: ({ name }, context) => {
      heard(context);
      return rooms[name] ? { name, responsible: employee({ id: rooms[name] }) } : null;
    },
    desksOf: ({ employees }) => employees.map((id) => employee({ id })),
  };
}
