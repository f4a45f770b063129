/** The ready-made actions offered on the page a widget stands on, and the way to open one. */
import { createContext } from "react";

import type { OperationsQuery } from "../generated/graphql";

export type Offer = NonNullable<OperationsQuery["operations"]>[number];

export const ActionsContext = createContext<{ offers: readonly Offer[]; open(offer: Offer): void }>({
  offers: [],
  open: () => undefined,
});
