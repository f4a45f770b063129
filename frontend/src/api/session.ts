/** The browser's session: who is signed in, how one may sign in, and the token every POST must carry. */

export interface Session {
  signedIn: boolean;
  csrfToken: string | null;
  methods: readonly string[];
  displayName: string | null;
  login: string | null;
  /** The team one acts for, and those one may act for. */
  team: string | null;
  /** Whether a second factor was proven minutes ago. */
  secondFactor: boolean;
  teams: readonly Team[];
}

export interface Team {
  id: string;
  title: unknown;
}

export interface DemoPerson {
  login: string;
  displayName: string;
  team: Team;
  roles: readonly string[];
}

/** An answer of an /auth route that was not a success; `status` 0 means that nobody answered. */
export class AuthError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(`auth: ${status} ${code}`);
  }
}

let csrfToken: string | null = null;

export const currentCsrfToken = (): string | null => csrfToken;

async function request(path: string, body?: unknown): Promise<unknown> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (body !== undefined && csrfToken !== null) headers["X-Okno-CSRF"] = csrfToken;
  let response: Response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      credentials: "same-origin",
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new AuthError(0, "UNREACHABLE");
  }
  if (!response.ok) throw new AuthError(response.status, await errorCode(response));
  if (response.status === 204) return null;
  return response.json().catch(() => null);
}

async function errorCode(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as { code?: unknown; error?: { code?: unknown } } | null;
  const code = body?.code ?? body?.error?.code;
  return typeof code === "string" ? code : `HTTP_${response.status}`;
}

export async function readSession(): Promise<Session> {
  const answer = (await request("/auth/session")) as Partial<Session> | null;
  if (answer === null || typeof answer.signedIn !== "boolean") throw new AuthError(200, "BAD_ANSWER");
  csrfToken = answer.csrfToken ?? null;
  return {
    signedIn: answer.signedIn,
    csrfToken,
    methods: answer.methods ?? [],
    displayName: answer.displayName ?? null,
    login: answer.login ?? null,
    team: answer.team ?? null,
    secondFactor: answer.secondFactor ?? false,
    teams: answer.teams ?? [],
  };
}

export const listDemoPeople = async (): Promise<readonly DemoPerson[]> =>
  (await request("/auth/people")) as readonly DemoPerson[];

export async function signInAsDemoPerson(login: string, secondFactor = false): Promise<Session> {
  await request("/auth/development", { login, secondFactor });
  return readSession();
}

export async function chooseTeam(team: string): Promise<Session> {
  await request("/auth/team", { team });
  return readSession();
}

/** Ends the session of this browser, or all that the person has. */
export async function signOut(everywhere = false): Promise<Session> {
  await request(everywhere ? "/auth/sign-out-everywhere" : "/auth/sign-out", {});
  return readSession();
}

/** Why the provider sent one back without a session; the server puts the code into the address. */
export const signInError = (): string | null => new URLSearchParams(window.location.search).get("signInError");

/** Takes the code out of the address: told once, it must not come back with a reload or a copied link. */
export function forgetSignInError(): void {
  const address = new URL(window.location.href);
  if (!address.searchParams.has("signInError")) return;
  address.searchParams.delete("signInError");
  window.history.replaceState(window.history.state, "", address.pathname + address.search + address.hash);
}

/** Where the provider sends one back to: the place one is at. */
export const oidcStart = (place: string, stepUp = false): string =>
  `/auth/oidc/start?${stepUp ? "step_up=1&" : ""}next=${encodeURIComponent(place)}`;
