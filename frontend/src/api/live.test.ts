import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { EmployeeChangedDocument, type EmployeeChangedSubscription } from "../generated/graphql";
import { Live } from "./live";
import { isOutdated } from "./updated";

interface Message {
  type: string;
  /** Of the subscription; messages about the connection have none. */
  id?: string;
  payload?: unknown;
}

/** The server's end of a WebSocket, in the hands of a test. */
class FakeSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  static all: FakeSocket[] = [];
  readyState = FakeSocket.CONNECTING;
  sent: Message[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: object) => void) | null = null;
  onerror: ((event: object) => void) | null = null;

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    FakeSocket.all.push(this);
  }

  send(text: string) {
    this.sent.push(JSON.parse(text) as Message);
  }

  close(code = 1000, reason = "") {
    if (this.readyState === FakeSocket.CLOSED) return;
    this.readyState = FakeSocket.CLOSED;
    this.onclose?.({ code, reason, wasClean: true });
  }

  say(message: Message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** Accepts the connection and whoever is behind it. */
  async accept() {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
    await vi.waitFor(() => expect(this.sent.map(({ type }) => type)).toContain("connection_init"));
    this.say({ type: "connection_ack" });
  }

  subscriptions = () => this.sent.filter(({ type }) => type === "subscribe");
}

const socket = async (number: number) => {
  await vi.waitFor(() => expect(FakeSocket.all.length).toBe(number));
  return FakeSocket.all[number - 1] as FakeSocket;
};
const subscribed = async (to: FakeSocket) => {
  await vi.waitFor(() => expect(to.subscriptions().length).toBe(1));
  const { id, payload } = to.subscriptions()[0] as Message;
  return { id: String(id), payload };
};
const changed = (id: string) => ({ data: { employeeChanged: { id } } });

function start() {
  const live = new Live();
  const world = { live, heard: [] as EmployeeChangedSubscription[], ended: 0, resumed: 0 };
  const leave = live.subscribe(
    EmployeeChangedDocument,
    { employee: "E1" },
    (data) => world.heard.push(data),
    () => (world.ended += 1),
  );
  live.onResumed(() => (world.resumed += 1));
  return { ...world, world, leave };
}

beforeEach(() => {
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a subscription names its document by the id, and sends no text", async () => {
  const { world, live, leave } = start();
  const server = await socket(1);
  expect([server.url, server.protocol]).toEqual(["ws://localhost:3000/graphql", "graphql-transport-ws"]);
  await server.accept();
  const { id, payload } = await subscribed(server);
  expect(payload).toEqual({
    documentId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as unknown,
    operationName: "EmployeeChanged",
    variables: { employee: "E1" },
  });
  expect(live.state()).toBe("live");
  server.say({ type: "next", id, payload: changed("E1") });
  expect(world.heard).toEqual([{ employeeChanged: { id: "E1" } }]);
  leave();
  expect(server.sent.at(-1)).toEqual({ type: "complete", id });
  live.close();
});

test("a lost connection comes back by itself, and says that events may have been missed", async () => {
  const { world, live } = start();
  const server = await socket(1);
  await server.accept();
  await subscribed(server);
  server.close(1006);
  expect(live.state()).toBe("lost");
  await vi.waitFor(() => {
    window.dispatchEvent(new Event("online"));
    expect(FakeSocket.all.length).toBe(2);
  });
  const again = await socket(2);
  expect(live.state()).toBe("lost");
  await again.accept();
  const { id } = await subscribed(again);
  expect([live.state(), world.resumed]).toEqual(["live", 1]);
  again.say({ type: "next", id, payload: changed("E1") });
  expect(world.heard.length).toBe(1);
  live.close();
});

test.each([4401, 4403])("a connection closed with %i is not tried again until somebody signs in", async (code) => {
  const { world, live } = start();
  const server = await socket(1);
  await server.accept();
  const { id } = await subscribed(server);
  if (code === 4401) {
    server.say({ type: "error", id, payload: [{ message: "no", extensions: { code: "UNAUTHENTICATED" } }] });
  }
  server.close(code, "no");
  await vi.waitFor(() => expect(live.state()).toBe("stopped"));
  window.dispatchEvent(new Event("online"));
  expect([FakeSocket.all.length, world.ended]).toEqual([1, 0]);
  live.restart();
  const again = await socket(2);
  await again.accept();
  await subscribed(again);
  expect([live.state(), world.resumed]).toEqual(["live", 1]);
  live.close();
});

test("a subscription that the policy refuses ends, and the connection stays", async () => {
  const { world, live } = start();
  const server = await socket(1);
  await server.accept();
  const { id } = await subscribed(server);
  server.say({ type: "error", id, payload: [{ message: "no", extensions: { code: "DENIED" } }] });
  await vi.waitFor(() => expect(world.ended).toBe(1));
  expect(live.state()).toBe("live");
  expect(isOutdated()).toBe(false);
  live.close();
});

test("a subscription that ended because events came too fast is begun anew, and what was missed can be read", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { world, live } = start();
  const server = await socket(1);
  await server.accept();
  const { id } = await subscribed(server);
  server.say({ type: "error", id, payload: [{ message: "slow", extensions: { code: "LIMIT_EXCEEDED" } }] });
  await vi.advanceTimersByTimeAsync(29_000);
  expect([FakeSocket.all.length, live.state()]).toEqual([1, "connecting"]);
  await vi.advanceTimersByTimeAsync(1_000);
  const again = await socket(2);
  await again.accept();
  await subscribed(again);
  expect([live.state(), world.ended, world.resumed]).toEqual(["live", 0, 1]);
  live.close();
});

test("a document that the server no longer knows tells that a new version is out", async () => {
  const { live } = start();
  const server = await socket(1);
  await server.accept();
  const { id } = await subscribed(server);
  const refusal = { message: "unknown", extensions: { code: "PERSISTED_DOCUMENT_NOT_FOUND" } };
  server.say({ type: "error", id, payload: [refusal] });
  await vi.waitFor(() => expect(isOutdated()).toBe(true));
  live.close();
});

test("a socket whose code could not be loaded is asked for again", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  vi.doMock("./socket", () => {
    throw new Error("the network is away");
  });
  const { world, live } = start();
  await vi.waitFor(() => expect(live.state()).toBe("lost"));
  vi.doUnmock("./socket");
  await vi.advanceTimersByTimeAsync(30_000);
  const server = await socket(1);
  await server.accept();
  await subscribed(server);
  expect([live.state(), world.ended, world.resumed]).toEqual(["live", 0, 1]);
  live.close();
});
