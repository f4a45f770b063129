// Composes subgraphs. Given: { subgraphs: { name: sdl } }; answers { errors, supergraph, api }.
import { composeServices, transformSupergraphToPublicSchema } from "@theguild/federation-composition";
import { parse, print } from "graphql";
import { answer, given } from "../given.mjs";
import { FACILITIES_SDL } from "./facilities.mjs";

const { okno } = await given();
const composed = composeServices([
  { name: "okno", url: "http://okno.example/graphql", typeDefs: parse(okno) },
  { name: "facilities", url: "http://facilities.example/graphql", typeDefs: parse(FACILITIES_SDL) },
]);
answer({
  errors: (composed.errors ?? []).map((error) => error.message),
  supergraph: composed.supergraphSdl ?? null,
  api:
    composed.publicSdl ??
    (composed.supergraphSdl ? print(transformSupergraphToPublicSchema(parse(composed.supergraphSdl))) : null),
});
