/** For tests: components within languages, a person and a server that answers by the name of the operation. */
import { ThemeProvider } from "@gravity-ui/uikit";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { cacheExchange, Client, fetchExchange, Provider } from "urql";

import { createI18n, I18nContext } from "./i18n";
import en from "./i18n/en.json";
import type { Catalogue } from "./i18n/messages";
import { type Me, MeContext } from "./shell/me";

export interface Request {
  operationName: string;
  variables: Record<string, unknown>;
}

export interface Answer {
  data?: unknown;
  errors?: unknown[];
  extensions?: Record<string, unknown>;
}

/** The answer of the server; a thrown error is a lost connection. */
export type Server = (request: Request) => Answer | Promise<Answer>;

export const ME: Me = {
  id: "person:anna",
  kind: "person",
  displayName: "Anna Sorokina",
  login: "anna.sorokina",
  teams: [{ id: "first-line-cis", title: { en: "First line, CIS", ru: "Первая линия, СНГ" } }],
  roles: ["first_line"],
  permissions: ["people.search"],
};

export function serve(server: Server): typeof fetch {
  return async (_input, init) => {
    const body = JSON.parse(String(init?.body)) as Request;
    const answer = await server(body);
    return new Response(JSON.stringify(answer), { headers: { "Content-Type": "application/json" } });
  };
}

export function renderInOkno(children: ReactNode, server: Server, permissions: readonly string[] = ME.permissions) {
  const client = new Client({
    url: "http://localhost/graphql",
    preferGetMethod: false,
    exchanges: [cacheExchange, fetchExchange],
    fetch: serve(server),
  });
  return render(
    <I18nContext.Provider value={createI18n("en", en as Catalogue, () => undefined)}>
      <ThemeProvider theme="light">
        <Provider value={client}>
          <MeContext.Provider value={{ ...ME, permissions: [...permissions] }}>{children}</MeContext.Provider>
        </Provider>
      </ThemeProvider>
    </I18nContext.Provider>,
  );
}
