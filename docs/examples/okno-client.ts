// A typed client of Okno for internal tools: copy it, and keep what you need. Node 20 or a browser; no dependency.
//   npx tsc --target es2022 --module nodenext okno-client.ts && OKNO_URL=http://localhost:8000 OKNO_TOKEN=… node okno-client.js ivan.petrov
import { randomUUID } from "node:crypto";

const ATTEMPTS = 3;

/** What is wrong with the request as a whole, or with a part of it. */
interface GraphQLError {
  message: string;
  path?: (string | number)[];
  extensions: { code: string; requestId: string; field?: string };
}

/** What the one who asked can mend, or has to know. */
interface UserError {
  code: string;
  message: string;
  field: string | null;
}

/** An employee; null is what you may not read. */
interface Employee {
  id: string;
  displayName: string | null;
  domain: { meta: { state: "OK" | "STALE" | "FAILED" | "DENIED" }; locked: boolean | null };
}

interface Change {
  title: Record<string, string>;
  before: unknown;
  after: unknown;
}

interface Connection<Node> {
  edges: { node: Node }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

interface Preview {
  operation: string;
  employee: string;
  changes: Change[];
  previewToken: string;
}

interface Result {
  outcome: "SUCCEEDED" | "UNKNOWN";
  replayed: boolean;
}

/** The code is stable; the request's id finds it in Okno's log. */
class OknoError extends Error {
  readonly code: string;
  readonly requestId: string;

  constructor(readonly errors: GraphQLError[]) {
    const [first] = errors;
    super(`${first?.extensions.code}: ${first?.message}`);
    this.code = first?.extensions.code ?? "INTERNAL";
    this.requestId = first?.extensions.requestId ?? "";
  }
}

/** An operation was not begun, or the system refused it: nothing was changed. */
class OperationRefused extends Error {
  constructor(readonly errors: UserError[]) {
    super(errors.map(({ code, message }) => `${code}: ${message}`).join("; "));
  }
}

/** The API in the name of a token's holder. */
class Okno {
  constructor(
    private readonly url: string,
    private readonly token: string,
    private readonly client = "okno-client-ts/1.0",
  ) {}

  /** Runs one document and gives its data. Tries again when that is safe: nothing arrived, or nothing was done. */
  async execute<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await fetch(`${this.url}/graphql`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${this.token}`,
            "content-type": "application/json",
            accept: "application/graphql-response+json",
            "x-okno-client": this.client,
          },
          body: JSON.stringify({ query, variables }),
          signal: AbortSignal.timeout(30_000),
        });
        const body = (await response.json()) as { data?: Data; errors?: GraphQLError[] };
        if (body.errors) throw new OknoError(body.errors);
        return body.data as Data;
      } catch (error) {
        // fetch throws TypeError where no answer came; a mutation may be sent again, it carries its idempotency key
        const mayTryAgain = error instanceof TypeError || (error instanceof OknoError && error.code === "UNAVAILABLE");
        if (!mayTryAgain || attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt));
      }
    }
  }

  /** The best match among those whom you may know of. */
  async find(text: string): Promise<Employee | undefined> {
    const { employees } = await this.execute<{ employees: Connection<Employee> }>(
      `query Find($text: String!) {
        employees(search: $text, first: 1) {
          edges { node { id displayName domain { meta { state } locked } } }
          pageInfo { hasNextPage endCursor }
        }
      }`,
      { text },
    );
    return employees.edges[0]?.node;
  }

  /** All employees, page by page. */
  async *employees(first = 100): AsyncGenerator<{ id: string; displayName: string | null }[]> {
    type Page = { employees: Connection<{ id: string; displayName: string | null }> };
    for (let after: string | null = null; ;) {
      const { employees }: Page = await this.execute<Page>(
        `query Page($first: Int!, $after: String) {
          employees(first: $first, after: $after) {
            edges { node { id displayName } }
            pageInfo { hasNextPage endCursor }
          }
        }`,
        { first, after },
      );
      yield employees.edges.map(({ node }) => node);
      if (!employees.pageInfo.hasNextPage) return;
      after = employees.pageInfo.endCursor;
    }
  }

  /** What the operation would change now. Throws OperationRefused where it cannot run. */
  async preview(operation: string, employee: string): Promise<Preview> {
    type Payload = { changes: Change[] | null; previewToken: string | null; errors: UserError[] };
    const { operationPreview } = await this.execute<{ operationPreview: Payload }>(
      `mutation Preview($input: OperationPreviewInput!) {
        operationPreview(input: $input) { changes { title before after } previewToken errors { code message field } }
      }`,
      { input: { operation, employee, idempotencyKey: randomUUID() } },
    );
    const { changes, previewToken, errors } = operationPreview;
    if (previewToken === null) throw new OperationRefused(errors);
    return { operation, employee, changes: changes ?? [], previewToken };
  }

  /** Does what was previewed. The same key never does it twice: the first result comes back. */
  async run({ operation, employee, previewToken }: Preview, idempotencyKey: string): Promise<Result> {
    type Payload = { outcome: "SUCCEEDED" | "FAILED" | "UNKNOWN" | null; replayed: boolean; errors: UserError[] };
    const { operationRun } = await this.execute<{ operationRun: Payload }>(
      `mutation Run($input: OperationRunInput!) {
        operationRun(input: $input) { outcome replayed errors { code message field } }
      }`,
      { input: { operation, employee, previewToken, idempotencyKey } },
    );
    const { outcome, replayed, errors } = operationRun;
    if (outcome === null || outcome === "FAILED") throw new OperationRefused(errors);
    return { outcome, replayed };
  }
}

async function main(text: string): Promise<void> {
  const okno = new Okno(process.env["OKNO_URL"] ?? "", process.env["OKNO_TOKEN"] ?? "");
  const employee = await okno.find(text);
  if (!employee) throw new Error(`nobody is found by ${text}`);
  console.log(employee.displayName);
  console.log(`domain: ${employee.domain.meta.state}, locked: ${employee.domain.locked}`);

  const preview = await okno.preview("domain.unlock", employee.id);
  for (const { title, before, after } of preview.changes) console.log(`${title["en"]}: ${before} -> ${after}`);
  const key = randomUUID();
  for (let time = 1; time <= 2; time += 1) {
    const { outcome, replayed } = await okno.run(preview, key);
    console.log(`${outcome}, replayed: ${replayed}`);
  }
  await okno.preview("domain.unlock", employee.id).catch((refused: OperationRefused) => console.log(refused.message));

  let count = 0;
  let pages = 0;
  for await (const page of okno.employees()) {
    count += page.length;
    pages += 1;
  }
  console.log(`${count} employees on ${pages} pages`);
  await okno
    .execute('{ employee(id: "nonsense") { displayName } }')
    .catch((error: OknoError) => console.log(error.message));
}

main(process.argv[2] ?? "").catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
