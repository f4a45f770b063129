// graphql-yoga with DataLoader, as its documentation has it; BENCH_JIT=1 adds graphql-jit.
import { createServer } from "node:http";
import { useGraphQlJit } from "@envelop/graphql-jit";
import DataLoader from "dataloader";
import { createSchema, createYoga } from "graphql-yoga";
import { listening, query, readSections, scalars, SECTIONS, typeDefs } from "./rows.mjs";

const Employee = Object.fromEntries(
  SECTIONS.map((name) => [name, (employee, _parameters, context) => context.loaders[name].load(employee.id)]),
);
const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers: { ...scalars, Query: query, Employee } }),
  context: () => ({
    loaders: Object.fromEntries(
      SECTIONS.map((name) => [name, new DataLoader(async (ids) => readSections(name, ids))]),
    ),
  }),
  plugins: process.env.BENCH_JIT === "1" ? [useGraphQlJit()] : [],
  logging: false,
  graphiql: false,
  landingPage: false,
});
const server = createServer(yoga);
server.listen(0, "127.0.0.1", () => listening(server));
