/** The GraphQL client of one signed-in person. An ended session holds requests back until somebody signed in again. */
import { authExchange } from "@urql/exchange-auth";
import { cacheExchange, Client, type CombinedError, fetchExchange, mapExchange } from "urql";

import { markOutdated, UNKNOWN_DOCUMENT } from "./updated";
import { documentExchange } from "./documents";
import { failureOf } from "./failure";
import type { Live } from "./live";
import { currentCsrfToken } from "./session";

const SESSION_CODES = new Set(["UNAUTHENTICATED", "CSRF"]);

function isSessionError(error: CombinedError): boolean {
  const response = error.response as Response | undefined;
  if (response?.status === 401) return true;
  return error.graphQLErrors.some(({ extensions }) => SESSION_CODES.has(String(extensions["code"])));
}

/**
 * @param renewSession resolves once there is a valid session of the same person again; requests that failed for want
 *   of one are then repeated. Nothing was done by them: the server refuses before it looks at the document.
 */
export function createClient(renewSession: () => Promise<void>, live: Live): Client {
  return new Client({
    url: "/graphql",
    preferGetMethod: false,
    fetchOptions: { credentials: "same-origin" },
    exchanges: [
      mapExchange({
        onError: (error) => {
          if (failureOf(error).code === UNKNOWN_DOCUMENT) markOutdated();
        },
      }),
      cacheExchange,
      authExchange((utilities) =>
        Promise.resolve({
          addAuthToOperation: (operation) => {
            const token = currentCsrfToken();
            return token === null ? operation : utilities.appendHeaders(operation, { "X-Okno-CSRF": token });
          },
          didAuthError: isSessionError,
          refreshAuth: async () => {
            await renewSession();
            live.restart();
          },
        }),
      ),
      documentExchange(),
      fetchExchange,
    ],
  });
}
