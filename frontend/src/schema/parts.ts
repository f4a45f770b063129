/** Parts of the schema as the page groups and names them. */
import type { SchemaPartFragment } from "../generated/graphql";

export type Part = SchemaPartFragment;
export type ClientUse = Part["clients"][number];

export interface TypeOfParts {
  name: string;
  parts: readonly Part[];
}

const typeOf = ({ coordinate }: Part): string => coordinate.slice(0, coordinate.indexOf("."));

/** By type, in the order given; the server orders by coordinate, so the parts of a type stand together. */
export function byType(parts: readonly Part[]): TypeOfParts[] {
  const types = new Map<string, Part[]>();
  for (const part of parts) {
    const name = typeOf(part);
    types.set(name, [...(types.get(name) ?? []), part]);
  }
  return [...types].map(([name, members]) => ({ name, parts: members }));
}

/** The name within its type; an argument stands apart from the field that takes it. */
export function nameOf({ coordinate }: Part): { field: string; argument: string | null } {
  const name = coordinate.slice(coordinate.indexOf(".") + 1);
  const bracket = name.indexOf("(");
  if (bracket < 0) return { field: name, argument: null };
  return { field: name.slice(0, bracket), argument: name.slice(bracket) };
}

/** As the header X-Okno-Client has it, and as the filter takes it. */
export const labelOf = ({ name, version }: Pick<ClientUse, "name" | "version">): string =>
  version == null ? name : `${name}/${version}`;
