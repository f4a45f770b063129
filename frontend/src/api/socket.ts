/** The WebSocket under live updates: graphql-transport-ws, one for the page, loaded when something first listens. */
import { type Client, createClient } from "graphql-ws";

import { isFinal } from "./live";

const SLOWEST_RETRY_MILLISECONDS = 30_000;
const PING_MILLISECONDS = 20_000;
const PONG_MILLISECONDS = 10_000;
const IDLE_MILLISECONDS = 3_000;
const NORMAL_CLOSURE = 1000;

export interface SocketEvents {
  connecting(): void;
  connected(again: boolean): void;
  /** @param idle nobody listened any more; otherwise the connection was lost, and is tried again. */
  closed(idle: boolean): void;
}

/** A second at first, then twice as long each time, spread so that not all pages come back at once; at once when the network is back. */
function wait(retries: number): Promise<void> {
  const longest = Math.min(SLOWEST_RETRY_MILLISECONDS, 1000 * 2 ** retries);
  return new Promise((resolve) => {
    const done = () => {
      window.clearTimeout(timer);
      window.removeEventListener("online", done);
      resolve();
    };
    const timer = window.setTimeout(done, longest * (0.5 + Math.random() / 2));
    window.addEventListener("online", done);
  });
}

export function openSocket(events: SocketEvents): Client {
  let overdue: number | undefined;
  const socket = createClient({
    url: () => {
      const address = new URL("/graphql", window.location.href);
      address.protocol = address.protocol.replace("http", "ws");
      return address.href;
    },
    retryAttempts: Infinity,
    shouldRetry: (cause) => !isFinal(cause),
    retryWait: wait,
    lazyCloseTimeout: IDLE_MILLISECONDS,
    keepAlive: PING_MILLISECONDS,
    // The library wants a text for `query`; the server wants none beside a document's id.
    jsonMessageReplacer: (key, value: unknown) => (key === "query" && value === "" ? undefined : value),
    on: {
      connecting: () => events.connecting(),
      connected: (_socket, _payload, again) => events.connected(again),
      ping: (received) => {
        if (!received) overdue = window.setTimeout(() => socket.terminate(), PONG_MILLISECONDS);
      },
      pong: (received) => {
        if (received) window.clearTimeout(overdue);
      },
      closed: (event) => {
        window.clearTimeout(overdue);
        events.closed((event as CloseEvent).code === NORMAL_CLOSURE);
      },
    },
  });
  return socket;
}
