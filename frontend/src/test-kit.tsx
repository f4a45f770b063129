/** For tests: components within languages, a person and a server that answers by the name of the operation. */
import { ThemeProvider } from "@gravity-ui/uikit";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { cacheExchange, Client, fetchExchange, Provider, type TypedDocumentNode } from "urql";

import { documentExchange } from "./api/documents";
import type { LiveState, LiveUpdates } from "./api/live";
import { LiveContext } from "./api/useLive";
import documents from "./generated/documents.json";
import { createI18n, I18nContext } from "./i18n";
import en from "./i18n/en.json";
import type { Catalogue } from "./i18n/messages";
import { type Me, MeContext } from "./shell/me";

export interface Request {
  documentId: string;
  /** Undefined for a widget's document: its name is known to the server alone. */
  operationName: string | undefined;
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
    if (body.operationName !== undefined && !(body.documentId.replace("sha256:", "") in documents)) {
      throw new Error(`${body.operationName}: ${body.documentId} is not registered`);
    }
    const answer = await server(body);
    return new Response(JSON.stringify(answer), { headers: { "Content-Type": "application/json" } });
  };
}

/** Live updates in the hands of a test: no socket, and events when the test says so. */
export class FakeLive implements LiveUpdates {
  readonly variables: Record<string, unknown>[] = [];
  private readonly hearers = new Set<(data: unknown) => void>();
  private readonly watchers = new Set<() => void>();
  private readonly resumers = new Set<() => void>();
  private now: LiveState = "live";

  readonly state = () => this.now;
  readonly listen = (watcher: () => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };
  readonly onResumed = (resumer: () => void) => {
    this.resumers.add(resumer);
    return () => this.resumers.delete(resumer);
  };

  subscribe<Data, Variables extends Record<string, unknown>>(
    _document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    hear: (data: Data) => void,
  ) {
    const hearer = hear as (data: unknown) => void;
    this.variables.push(variables);
    this.hearers.add(hearer);
    return () => this.hearers.delete(hearer);
  }

  tell(event: unknown) {
    for (const hear of this.hearers) hear(event);
  }

  become(state: LiveState) {
    this.now = state;
    for (const each of this.watchers) each();
  }

  resume() {
    for (const each of this.resumers) each();
  }
}

export function renderInOkno(
  children: ReactNode,
  server: Server,
  permissions: readonly string[] = ME.permissions,
  live: LiveUpdates | null = null,
) {
  const client = new Client({
    url: "http://localhost/graphql",
    preferGetMethod: false,
    exchanges: [cacheExchange, documentExchange(serve(server)), fetchExchange],
  });
  return render(
    <I18nContext.Provider value={createI18n("en", en as Catalogue, () => undefined)}>
      <ThemeProvider theme="light">
        <Provider value={client}>
          <LiveContext.Provider value={live}>
            <MeContext.Provider value={{ ...ME, permissions: [...permissions] }}>{children}</MeContext.Provider>
          </LiveContext.Provider>
        </Provider>
      </ThemeProvider>
    </I18nContext.Provider>,
  );
}
