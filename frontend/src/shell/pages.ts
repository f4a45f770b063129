/** Every page one can go to, and the permission that opens it. The rail and the palette read this list. */
import { ListTimeline, Persons, Server, BranchesDown } from "@gravity-ui/icons";
import type { IconData } from "@gravity-ui/uikit";

import type { MessageKey } from "../i18n/messages";

export interface Page {
  id: string;
  path: string;
  title: MessageKey;
  permission: string;
  icon: IconData;
  /** Pages of one group stand together in the rail, under its title. */
  group?: MessageKey;
}

export const PAGES: readonly Page[] = [
  { id: "people", path: "/people", title: "page.people", permission: "people.search", icon: Persons },
  { id: "journal", path: "/journal", title: "page.journal", permission: "audit.read", icon: ListTimeline },
  { id: "sources", path: "/sources", title: "page.sources", permission: "sources.read", icon: Server },
  {
    id: "schema",
    path: "/schema",
    title: "page.schema",
    permission: "schema.usage",
    icon: BranchesDown,
    group: "shell.administration",
  },
];

export const employeePath = (id: string): string => `/people/${encodeURIComponent(id)}`;
export const recordPath = (id: string): string => `/journal/${encodeURIComponent(id)}`;

/** The entry that is current at a place; `/` is the search. */
export const isCurrent = (page: Page, location: string): boolean =>
  location === page.path || location.startsWith(`${page.path}/`) || (page.id === "people" && location === "/");
