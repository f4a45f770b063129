// A card that asks for itself anew by the employee's id: Relay does that through Query.node.
import { graphql } from "relay-runtime";

export const card = graphql`
  fragment EmployeeCard_employee on Employee @refetchable(queryName: "EmployeeCardRefetchQuery") {
    displayName
    login
    manager {
      displayName
      ...EmployeeCard_manager
    }
    domain {
      meta {
        state
        asOf
      }
      locked
      groups
    }
  }
`;

export const manager = graphql`
  fragment EmployeeCard_manager on Employee {
    latinName
    timeZone
  }
`;

export const query = graphql`
  query EmployeeCardQuery($id: ID!) {
    node(id: $id) {
      ...EmployeeCard_employee @alias(as: "card")
    }
  }
`;

export const unlock = graphql`
  mutation EmployeeCardPreviewMutation($input: OperationPreviewInput!) {
    operationPreview(input: $input) {
      changes {
        before
        after
      }
      previewToken
      errors {
        code
        field
      }
    }
  }
`;
