// mercurius on fastify with its own loaders and with graphql-jit from the second request of a document on.
import Fastify from "fastify";
import mercurius from "mercurius";
import { listening, query, readSections, scalars, SECTIONS, typeDefs } from "./rows.mjs";

const loaders = {
  Employee: Object.fromEntries(
    SECTIONS.map((name) => [
      name,
      {
        loader: async (queries) => readSections(name, queries.map(({ obj }) => obj.id)),
        opts: { cache: false }, // its key is the whole employee as JSON, which costs more than it can save here
      },
    ]),
  ),
};
const app = Fastify({ logger: false });
app.register(mercurius, { schema: typeDefs, resolvers: { ...scalars, Query: query }, loaders, jit: 1 });
await app.listen({ port: 0, host: "127.0.0.1" });
listening(app.server);
