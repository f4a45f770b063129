/** Widgets with a drawing of their own: widgets/<id>/Widget.tsx, found at build time, loaded when shown. */
import { type ComponentType, lazy, type LazyExoticComponent } from "react";

import type { Gate } from "../api/gate";
import type { Manifest } from "./manifest";

/** What every view gets, stock or custom. `Data` is the type of the answer to the widget's query.graphql. */
export interface WidgetProps<Data = unknown> {
  manifest: Manifest;
  data: Data;
  gate: Gate;
}

type Drawing = LazyExoticComponent<ComponentType<WidgetProps>>;

const modules = import.meta.glob<ComponentType<WidgetProps>>("../../../widgets/*/Widget.tsx", { import: "default" });

const drawings: ReadonlyMap<string, Drawing> = new Map(
  Object.entries(modules).map(([path, load]) => {
    const id = path.split("/").at(-2) ?? path;
    return [id, lazy(async () => ({ default: await load() }))];
  }),
);

export const findCustomView = (id: string): Drawing | null => drawings.get(id) ?? null;
