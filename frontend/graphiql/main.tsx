/** GraphiQL for who is signed in: the same origin, the same session, the same gate as the application. */
import "graphiql/style.css";
import "./graphiql.css";

import type { Fetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

import { currentCsrfToken, readSession } from "../src/api/session";

const START = `# Ctrl+Space completes, Ctrl+Enter runs.
# extensions.gate of the answer says what the policy let through.
query FindPeople {
  me {
    displayName
    permissions
  }
  employees(search: "petrov", first: 5) {
    edges {
      node {
        id
        displayName
        department
      }
    }
  }
}
`;

const post = (body: string): Promise<Response> =>
  fetch("/graphql", {
    method: "POST",
    credentials: "same-origin",
    headers: {
      Accept: "application/graphql-response+json",
      "Content-Type": "application/json",
      "X-Okno-CSRF": currentCsrfToken() ?? "",
    },
    body,
  });

const fetcher: Fetcher = async (parameters) => {
  const body = JSON.stringify(parameters);
  if (currentCsrfToken() === null) await readSession();
  let response = await post(body);
  if (response.status === 403) {
    // The token belongs to a session; there may be another one since. The server refused before it read the document.
    await readSession();
    response = await post(body);
  }
  return response.json();
};

const root = document.getElementById("graphiql");
if (root === null) throw new Error("index.html has no #graphiql");

createRoot(root).render(
  <GraphiQL
    fetcher={fetcher}
    storage={window.sessionStorage}
    defaultQuery={START}
    isHeadersEditorEnabled={false}
    shouldPersistHeaders={false}
  />,
);
