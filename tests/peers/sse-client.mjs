// Subscriptions with npm's graphql-sse, in its mode of distinct connections. Lines in and out as in ws-client.mjs:
//
//   {do: "subscribe", client, url, headers?, query, variables?}
//   {do: "dispose", client}
import { createInterface } from "node:readline";

import { createClient } from "graphql-sse";

const clients = new Map();
const tell = (client, event, more = {}) => process.stdout.write(`${JSON.stringify({ client, event, ...more })}\n`);

function subscribe({ client, url, headers, query, variables }) {
  const made = createClient({
    url,
    headers,
    retryAttempts: 0,
    onMessage: undefined,
    // its answer has begun, so the server listens
    on: { connected: () => tell(client, "subscribed") },
  });
  clients.set(client, made);
  made.subscribe(
    { query, variables },
    {
      next: (payload) => tell(client, "next", { payload }),
      error: (error) => tell(client, "error", { status: error.response?.status ?? null, message: String(error.message) }),
      complete: () => tell(client, "complete"),
    },
  );
}

const commands = { subscribe, dispose: ({ client }) => clients.get(client).dispose() };

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
