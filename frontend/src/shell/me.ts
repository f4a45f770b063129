/** Who is signed in, and what they may enter. */
import { createContext, useContext } from "react";

import type { MeQuery } from "../generated/graphql";

export type Me = NonNullable<MeQuery["me"]>;

export const MeContext = createContext<Me | null>(null);

export function useMe(): Me {
  const me = useContext(MeContext);
  if (me === null) throw new Error("useMe outside of the signed-in shell");
  return me;
}

export const useMay = (permission: string): boolean => useMe().permissions.includes(permission);
