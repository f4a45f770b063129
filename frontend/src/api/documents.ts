/**
 * Documents that the server knows beforehand. A request names one by its id; its text stands in the server's registry
 * (documents.json of the build, and the widgets' folders), so that a page can run nothing else.
 */
import { type Exchange, makeOperation, mapExchange, type Operation, type TypedDocumentNode } from "urql";

type Kind = "query" | "mutation" | "subscription";

interface Trusted {
  kind: "Document";
  documentId: string;
  definitions: readonly {
    kind: "OperationDefinition";
    operation: Kind;
    name: { kind: "Name"; value: string } | undefined;
    selectionSet: { kind: "SelectionSet"; selections: readonly [] };
  }[];
}

/** What urql needs to know of a document whose text is elsewhere. `name`: null where it is not known, as of widgets. */
export function trustedDocument<Data, Variables>(
  operation: Kind,
  name: string | null,
  documentId: string,
): TypedDocumentNode<Data, Variables> {
  const document: Trusted = {
    kind: "Document",
    documentId,
    definitions: [
      {
        kind: "OperationDefinition",
        operation,
        name: name === null ? undefined : { kind: "Name", value: name },
        selectionSet: { kind: "SelectionSet", selections: [] },
      },
    ],
  };
  return document as unknown as TypedDocumentNode<Data, Variables>;
}

export interface TrustedRequest {
  documentId: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
}

export function trustedRequest({ query, variables }: Pick<Operation, "query" | "variables">): TrustedRequest {
  const { documentId, definitions } = query as unknown as Trusted;
  const operationName = definitions[0]?.name?.value;
  return { documentId, operationName, variables: (variables ?? {}) as Record<string, unknown> };
}

/** While one develops, the running server was given the documents of the last build; those at hand go as texts. */
export async function withText(request: TrustedRequest): Promise<Partial<TrustedRequest> & { query?: string }> {
  if (import.meta.env.MODE !== "development") return request;
  const { default: texts } = await import("../generated/documents.json");
  const { documentId, ...rest } = request;
  const query = (texts as Record<string, string>)[documentId.replace("sha256:", "")];
  return query === undefined ? request : { ...rest, query };
}

/** Makes every request one for a trusted document. Stands before the exchange that fetches. */
export const documentExchange = (send: typeof fetch = (...given) => fetch(...given)): Exchange =>
  mapExchange({
    onOperation: (operation) =>
      makeOperation(operation.kind, operation, {
        ...operation.context,
        fetch: async (input, init) =>
          send(input, { ...init, body: JSON.stringify(await withText(trustedRequest(operation))) }),
      }),
  });
