/** Live updates: subscriptions to trusted documents over one socket, and what one may know of its state. */
import type { Client as Socket } from "graphql-ws";
import type { TypedDocumentNode } from "urql";

import { type TrustedRequest, trustedRequest, withText } from "./documents";
import { markOutdated, UNKNOWN_DOCUMENT } from "./updated";

/** `lost`: it comes back by itself. `stopped`: the server ended it for good, until somebody signs in again. */
export type LiveState = "connecting" | "live" | "lost" | "stopped";

/** What the server closes a connection with for those who may not have one: not signed in, forbidden. */
const FINAL_CODES = new Set([4401, 4403]);
/** Errors that end a subscription now and may not end the next one: events came too fast, the database was away. */
const PASSING_ERRORS = new Set(["UNAVAILABLE", "LIMIT_EXCEEDED", "INTERNAL"]);
/** Before a subscription is begun anew that ended without one's asking, and not for good. */
const COMPLETED_RETRY_MILLISECONDS = 5_000;
const FAULT_RETRY_MILLISECONDS = 30_000;

interface Subscription {
  request: TrustedRequest;
  hear(data: unknown): void;
  ended(): void;
  /** Null while it is not under way. */
  stop: (() => void) | null;
}

interface Refusal {
  extensions?: { code?: unknown };
}

export const isFinal = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && FINAL_CODES.has(Number(cause.code));

const codesOf = (cause: unknown): string[] =>
  Array.isArray(cause) ? (cause as Refusal[]).map(({ extensions }) => String(extensions?.code)) : [];

/** What components may ask of live updates. */
export interface LiveUpdates {
  readonly state: () => LiveState;
  /** Calls back when the state changes. */
  readonly listen: (listener: () => void) => () => void;
  /** Calls back when the connection was lost and is there again: events may have been missed. */
  readonly onResumed: (listener: () => void) => () => void;
  /**
   * Hears events until the function it gives is called.
   *
   * @param ended the server refused this subscription, or ended it for good.
   */
  subscribe<Data, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    hear: (data: Data) => void,
    ended?: () => void,
  ): () => void;
}

export class Live implements LiveUpdates {
  private current: LiveState = "connecting";
  private socket: Promise<Socket> | null = null;
  private readonly subscriptions = new Set<Subscription>();
  private readonly listeners = new Set<() => void>();
  private readonly resumeListeners = new Set<() => void>();

  readonly state = (): LiveState => this.current;

  readonly listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly onResumed = (listener: () => void): (() => void) => {
    this.resumeListeners.add(listener);
    return () => this.resumeListeners.delete(listener);
  };

  subscribe<Data, Variables extends Record<string, unknown>>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
    hear: (data: Data) => void,
    ended: () => void = () => undefined,
  ): () => void {
    const request = trustedRequest({ query: document as never, variables });
    const subscription: Subscription = { request, hear: (data) => hear(data as Data), ended, stop: null };
    this.subscriptions.add(subscription);
    if (this.current !== "stopped") void this.start(subscription);
    return () => {
      this.subscriptions.delete(subscription);
      subscription.stop?.();
    };
  }

  /** Somebody signed in again: what had stopped goes on. */
  restart(): void {
    if (this.current !== "stopped") return;
    this.become("connecting");
    for (const each of this.subscriptions) void this.start(each);
    for (const each of this.resumeListeners) each();
  }

  close(): void {
    this.subscriptions.clear();
    void this.socket?.then((socket) => socket.dispose());
    this.socket = null;
  }

  private async start(subscription: Subscription): Promise<void> {
    if (subscription.stop !== null) return;
    let wanted = true;
    subscription.stop = () => {
      wanted = false;
    };
    const opening = this.open();
    let socket: Socket;
    try {
      socket = await opening;
    } catch (cause) {
      // its code could not be loaded: the network is away, or a new build has taken its place
      if (this.socket === opening) this.socket = null;
      if (wanted) this.ended(subscription, cause);
      return;
    }
    const payload = await withText(subscription.request);
    if (!wanted) return;
    subscription.stop = socket.subscribe<unknown>(
      { query: "", ...payload },
      {
        next: ({ data }) => {
          if (data != null) subscription.hear(data);
        },
        error: (cause) => this.ended(subscription, cause),
        complete: () => this.completed(subscription),
      },
    );
  }

  private open(): Promise<Socket> {
    this.socket ??= import("./socket").then(({ openSocket }) =>
      openSocket({
        connecting: () => {
          if (this.current !== "lost") this.become("connecting");
        },
        connected: (again) => {
          this.become("live");
          if (again) for (const each of this.resumeListeners) each();
        },
        closed: (idle) => {
          if (this.current !== "stopped") this.become(idle ? "connecting" : "lost");
        },
      }),
    );
    return this.socket;
  }

  /** @param cause the errors that the subscription was refused with; else why the socket is closed for good. */
  private ended(subscription: Subscription, cause: unknown): void {
    subscription.stop = null;
    const codes = codesOf(cause);
    if (codes.includes(UNKNOWN_DOCUMENT)) markOutdated();
    if (isFinal(cause) || codes.includes("UNAUTHENTICATED")) {
      this.become("stopped");
    } else if (codes.length === 0) {
      this.become("lost");
      this.again(subscription, FAULT_RETRY_MILLISECONDS);
    } else if (codes.every((code) => PASSING_ERRORS.has(code))) {
      this.again(subscription, FAULT_RETRY_MILLISECONDS);
    } else {
      this.subscriptions.delete(subscription);
      subscription.ended();
    }
  }

  private completed(subscription: Subscription): void {
    subscription.stop = null;
    this.again(subscription, COMPLETED_RETRY_MILLISECONDS);
  }

  private again(subscription: Subscription, milliseconds: number): void {
    window.setTimeout(() => {
      if (!this.subscriptions.has(subscription) || this.current === "stopped") return;
      void this.start(subscription);
      for (const each of this.resumeListeners) each();
    }, milliseconds);
  }

  private become(state: LiveState): void {
    if (this.current === state) return;
    this.current = state;
    for (const each of this.listeners) each();
  }
}
