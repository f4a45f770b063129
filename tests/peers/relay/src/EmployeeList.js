// A list in both directions: Relay checks arguments, edges, nodes, cursors and pageInfo of the connection.
import { graphql } from "relay-runtime";

export const list = graphql`
  fragment EmployeeList_query on Query
  @refetchable(queryName: "EmployeeListPaginationQuery")
  @argumentDefinitions(
    search: { type: "String" }
    first: { type: "Int", defaultValue: 20 }
    after: { type: "String" }
    last: { type: "Int" }
    before: { type: "String" }
  ) {
    employees(search: $search, first: $first, after: $after, last: $last, before: $before)
      @connection(key: "EmployeeList_employees") {
      edges {
        node {
          id
          ...EmployeeCard_employee
        }
      }
    }
  }
`;

export const query = graphql`
  query EmployeeListQuery($search: String) {
    ...EmployeeList_query @arguments(search: $search)
  }
`;
