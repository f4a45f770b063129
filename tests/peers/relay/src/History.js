// What was done to an employee, page by page.
import { graphql } from "relay-runtime";

export const history = graphql`
  fragment History_query on Query
  @refetchable(queryName: "HistoryPaginationQuery")
  @argumentDefinitions(employee: { type: "ID" }, first: { type: "Int", defaultValue: 50 }, after: { type: "String" }) {
    auditRecords(first: $first, after: $after, employee: $employee)
      @connection(key: "History_auditRecords", filters: ["employee"]) {
      edges {
        node {
          id
          at
          eventType
          outcome
        }
      }
    }
  }
`;

export const record = graphql`
  fragment History_record on AuditRecord @refetchable(queryName: "HistoryRecordRefetchQuery") {
    detail
    rule
  }
`;

export const query = graphql`
  query HistoryQuery($employee: ID!) {
    ...History_query @arguments(employee: $employee)
  }
`;

export const added = graphql`
  subscription HistorySubscription($employee: ID!) {
    auditRecordAdded(employee: $employee) {
      id
      ...History_record
    }
  }
`;
