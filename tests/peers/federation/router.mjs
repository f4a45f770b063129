// Hive's gateway in front of Okno and of a second subgraph.
// Given: { endpoint, sdl, desks, rooms }; its first line is { port }. POST /graphql asks the gateway, POST /heard gives
// what reached the second subgraph and forgets it.
import { createServer } from "node:http";
import { createGatewayRuntime } from "@graphql-hive/gateway-runtime";
import httpTransport from "@graphql-mesh/transport-http";
import { composeServices } from "@theguild/federation-composition";
import { parse } from "graphql";
import { createHandler } from "graphql-http/lib/use/http";
import { answer, given } from "../given.mjs";
import { FACILITIES_SDL, facilitiesRoot, facilitiesSchema } from "./facilities.mjs";

const { endpoint, sdl, desks, rooms } = await given();
const heard = [];
const rootValue = facilitiesRoot(desks, rooms, (request) => heard.push(request));
const facilities = createHandler({
  schema: facilitiesSchema,
  rootValue,
  context: (request) => ({ authorization: request.raw.headers.authorization ?? null }),
});

const listening = (handler) =>
  new Promise((resolve) => {
    const server = createServer(handler).listen(0, "127.0.0.1", () => resolve(server));
  });
const subgraph = await listening(facilities);

const composed = composeServices([
  { name: "okno", url: endpoint, typeDefs: parse(sdl) },
  { name: "facilities", url: `http://127.0.0.1:${subgraph.address().port}/`, typeDefs: parse(FACILITIES_SDL) },
]);
if (!composed.supergraphSdl) throw new Error(composed.errors.map((error) => error.message).join("\n"));

const gateway = createGatewayRuntime({
  supergraph: composed.supergraphSdl,
  transports: { http: httpTransport },
  propagateHeaders: {
    fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get("authorization") ?? undefined }),
  },
  landingPage: false,
  graphiql: false,
  logging: "error",
  maskedErrors: false,
});
const server = await listening((request, response) => {
  if (request.url !== "/heard") return gateway(request, response);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(heard.splice(0)));
});
answer({ port: server.address().port });
process.stdin.on("end", () => process.exit(0)).resume();
