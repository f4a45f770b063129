/** What of the schema is asked for; it stands in the address, so that a view can be sent to somebody. */

export interface Filters {
  search: string;
  client: string | null;
  days: number;
  deprecatedOnly: boolean;
  unusedOnly: boolean;
}

export const PERIODS = [7, 30, 90] as const;
const USUAL_DAYS = 30;

export const NO_FILTERS: Filters = {
  search: "",
  client: null,
  days: USUAL_DAYS,
  deprecatedOnly: false,
  unusedOnly: false,
};

export function readFilters(address: URLSearchParams): Filters {
  const days = Number(address.get("days"));
  return {
    search: address.get("q") ?? "",
    client: address.get("client"),
    days: PERIODS.find((each) => each === days) ?? USUAL_DAYS,
    deprecatedOnly: address.has("deprecated"),
    unusedOnly: address.has("unused"),
  };
}

/** Only what differs from the usual. */
export function writeFilters(filters: Filters): Record<string, string> {
  return {
    ...(filters.search !== "" && { q: filters.search }),
    ...(filters.client !== null && { client: filters.client }),
    ...(filters.days !== USUAL_DAYS && { days: String(filters.days) }),
    ...(filters.deprecatedOnly && { deprecated: "" }),
    ...(filters.unusedOnly && { unused: "" }),
  };
}

export const isFiltered = ({ search, client, deprecatedOnly, unusedOnly }: Filters): boolean =>
  search !== "" || client !== null || deprecatedOnly || unusedOnly;
