// The same work by three clients as they come from npm, each configured as its own documentation says.
// Given: { endpoint, token, employee }; answers what each of them read, by client.
import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { Client, cacheExchange, fetchExchange } from "@urql/core";
import { answer, given } from "../given.mjs";

const CARD = `query Card($id: ID!) {
  me { login }
  employee(id: $id) { id displayName login hr { meta { state } country salary { minorUnits } } domain { meta { state } locked } }
}`;
const PREVIEW = `mutation Preview($input: OperationPreviewInput!) {
  operationPreview(input: $input) { changes { source before after } previewToken errors { code message field } }
}`;

const { endpoint, token, employee } = await given();

/** A client is three functions: two throw what the client throws, and `codes` reads the codes out of that. */
function apollo(authorization) {
  const client = new ApolloClient({
    link: new HttpLink({ uri: endpoint, headers: authorization }),
    cache: new InMemoryCache(),
  });
  return {
    query: async (query, variables) => (await client.query({ query: gql(query), variables })).data,
    mutate: async (mutation, variables) => (await client.mutate({ mutation: gql(mutation), variables })).data,
    codes: (error) => CombinedGraphQLErrors.is(error) && error.errors.map((each) => each.extensions.code),
  };
}

function urql(authorization) {
  const client = new Client({
    url: endpoint,
    exchanges: [cacheExchange, fetchExchange],
    fetchOptions: { headers: authorization },
  });
  const dataOf = async (source) => {
    const result = await source.toPromise();
    if (result.error) throw result.error;
    return result.data;
  };
  return {
    query: (query, variables) => dataOf(client.query(query, variables)),
    mutate: (mutation, variables) => dataOf(client.mutation(mutation, variables)),
    codes: (error) => error.graphQLErrors?.map((each) => each.extensions.code),
  };
}

function bareFetch(authorization) {
  const run = async (query, variables) => {
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    if (errors) throw errors;
    return data;
  };
  return { query: run, mutate: run, codes: (errors) => errors.map?.((each) => each.extensions.code) };
}

async function codesOf(client, work) {
  try {
    return { wrongly: await work() };
  } catch (error) {
    return client.codes(error) || String(error);
  }
}

const withoutTypenames = (data) =>
  JSON.parse(JSON.stringify(data, (key, value) => (key === "__typename" ? undefined : value)));

async function work(make, name) {
  const client = make({ authorization: `Bearer ${token}` });
  const card = await client.query(CARD, { id: employee });
  const input = { operation: "domain.unlock", employee, idempotencyKey: `${name}-1` };
  const { operationPreview } = await client.mutate(PREVIEW, { input });
  const unknown = await client.mutate(PREVIEW, {
    input: { ...input, operation: "domain.explode", idempotencyKey: `${name}-2` },
  });
  return {
    card: withoutTypenames(card),
    change: withoutTypenames(operationPreview.changes[0]),
    mayRun: typeof operationPreview.previewToken === "string",
    problems: unknown.operationPreview.errors.map((each) => each.code),
    wrongId: await codesOf(client, () => client.query(CARD, { id: "nonsense" })),
    wrongField: await codesOf(client, () => client.query("{ me { shoeSize } }", {})),
    nobody: await (async () => {
      const stranger = make({});
      return codesOf(stranger, () => stranger.query(CARD, { id: employee }));
    })(),
  };
}

const clients = { apollo, urql, fetch: bareFetch };
const results = {};
for (const [name, make] of Object.entries(clients)) results[name] = await work(make, name);
answer(results);
