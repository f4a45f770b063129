// The audits of graphql-http, "GraphQL over HTTP" as its own authors check it. Given: { endpoint, token }.
import { serverAudits } from "graphql-http";
import { answer, given } from "./given.mjs";

const { endpoint, token } = await given();
const audits = serverAudits({
  url: endpoint,
  fetchFn: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, authorization: `Bearer ${token}` } }),
});
const results = [];
for (const audit of audits) {
  const { status, reason } = await audit.fn();
  results.push({ id: audit.id, name: audit.name, status, reason: reason ?? null });
}
answer(results);
