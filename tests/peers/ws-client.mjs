// Subscriptions with npm's graphql-ws. Each line of the standard input is a command, each line of the output tells of one client:
// {client, event: "subscribed" | "next" | "error" | "complete" | "closed" | "refused", …}.
//
//   {do: "subscribe", client, url, headers?, params?, query, variables?}   through graphql-ws's client
//   {do: "talk", client, url, headers?, protocols, messages}               messages as they are, over a bare WebSocket
//   {do: "dispose", client}
import { createInterface } from "node:readline";

import { createClient } from "graphql-ws";
import WebSocket from "ws";

const clients = new Map();
const tell = (client, event, more = {}) => process.stdout.write(`${JSON.stringify({ client, event, ...more })}\n`);

function subscribe({ client, url, headers, params, query, variables }) {
  class Socket extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols, { headers });
    }
  }
  const made = createClient({
    url,
    webSocketImpl: Socket,
    connectionParams: params,
    lazy: false,
    retryAttempts: 0,
    onNonLazyError: () => undefined,
    on: { closed: ({ code, reason }) => tell(client, "closed", { code, reason }) },
  });
  clients.set(client, made);
  made.subscribe(
    { query, variables },
    {
      next: (payload) => tell(client, "next", { payload }),
      error: (error) => tell(client, "error", { errors: Array.isArray(error) ? error : null, code: error.code ?? null }),
      complete: () => tell(client, "complete"),
    },
  );
  // The server takes messages in their order: once this is answered, the subscription before it runs.
  made.subscribe(
    { query: "{ __typename }" },
    { next: () => tell(client, "subscribed"), error: () => undefined, complete: () => undefined },
  );
}

function talk({ client, url, headers, protocols, messages }) {
  const socket = new WebSocket(url, protocols, { headers });
  socket.on("unexpected-response", (_request, response) => {
    let body = "";
    response.on("data", (part) => (body += part));
    response.on("end", () => tell(client, "refused", { status: response.statusCode, body: JSON.parse(body) }));
  });
  socket.on("open", () => {
    for (const message of messages) socket.send(typeof message === "string" ? message : JSON.stringify(message));
  });
  socket.on("close", (code, reason) => tell(client, "closed", { code, reason: reason.toString() }));
  socket.on("error", () => undefined);
}

const commands = { subscribe, talk, dispose: ({ client }) => clients.get(client).dispose() };

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
