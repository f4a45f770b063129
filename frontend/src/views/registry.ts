/** The stock views, by the name a manifest calls them. A new view is one module and one line here. */
import { type ComponentType, lazy, type LazyExoticComponent } from "react";

import { findCustomView, type WidgetProps } from "../dashboard/custom";
import type { Manifest } from "../dashboard/manifest";
import { FactsView } from "./FactsView";

type View = ComponentType<WidgetProps> | LazyExoticComponent<ComponentType<WidgetProps>>;

const STOCK: Readonly<Record<string, View>> = {
  facts: FactsView,
  table: lazy(() => import("./TableView")),
};

/** Null for a view that this build does not know: the card says so. */
export const findView = (manifest: Manifest): View | null =>
  manifest.view === "custom" ? findCustomView(manifest.id) : (STOCK[manifest.view] ?? null);
