/**
 * What the server runs for the application, by the SHA-256 of the exact text: a request names a text, it never holds one.
 * Every selection but the root asks for `__typename`, which the client's cache goes by.
 */
import { createHash } from "node:crypto";

import { Kind, print, visit } from "graphql";

const TYPENAME = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: "__typename" } };

const withTypenames = (document) =>
  visit(document, {
    SelectionSet(node, _key, parent) {
      const has = node.selections.some(({ kind, name }) => kind === Kind.FIELD && name.value === "__typename");
      if (has || parent?.kind === Kind.OPERATION_DEFINITION) return undefined;
      return { ...node, selections: [...node.selections, TYPENAME] };
    },
  });

/** The fragments that a definition spreads, and those that they spread, each once. */
function spread(definition, fragments, found = new Map()) {
  visit(definition, {
    FragmentSpread({ name: { value: name } }) {
      const fragment = fragments.get(name);
      if (fragment === undefined || found.has(name)) return;
      found.set(name, fragment);
      spread(fragment, fragments, found);
    },
  });
  return [...found.values()];
}

/** The operations of valid documents: name, kind, text and the text's hash. */
export function operationsOf(documents) {
  const definitions = documents.flatMap((document) => document.definitions);
  const fragments = new Map(
    definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((each) => [each.name.value, each]),
  );
  return definitions
    .filter(({ kind }) => kind === Kind.OPERATION_DEFINITION)
    .map((definition) => {
      const whole = { kind: Kind.DOCUMENT, definitions: [definition, ...spread(definition, fragments)] };
      const text = print(withTypenames(whole));
      const hash = createHash("sha256").update(text).digest("hex");
      return { name: definition.name.value, kind: definition.operation, text, hash };
    });
}

const pascal = (name) => name[0].toUpperCase() + name.slice(1);
const KINDS = { query: "Query", mutation: "Mutation", subscription: "Subscription" };

/** A plugin of graphql-codegen: a typed constant for each operation that holds its id in place of its text. */
export const trustedDocuments = (operations) => ({
  plugin: () => ({
    prepend: ['import { trustedDocument } from "../api/documents";'],
    content: operations
      .map(({ name, kind, hash }) => {
        const type = `${pascal(name)}${KINDS[kind]}`;
        const made = `trustedDocument<${type}, ${type}Variables>`;
        return `export const ${pascal(name)}Document = ${made}("${kind}", "${name}", "sha256:${hash}");`;
      })
      .join("\n"),
  }),
});
