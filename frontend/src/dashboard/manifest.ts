/** A widget's manifest as the server gives it (widgets/<id>/widget.yaml), read with care: it is data. */

export const FORMATS = [
  "text",
  "copy",
  "datetime",
  "date",
  "boolean",
  "money",
  "list",
  "phone",
  "email",
  "tag",
  "country",
  "number",
] as const;
export type FieldFormat = (typeof FORMATS)[number];

export interface FieldSpec {
  /** Facts: from the root of the answer, `employee.hr.position`. Columns: from the row. */
  path: string;
  label: unknown;
  format: FieldFormat;
}

export interface Manifest {
  id: string;
  title: unknown;
  view: string;
  /** Where in the answer the section stands whose `meta` the corner shows; null for data of Okno's own index. */
  section: string | null;
  fields: readonly FieldSpec[];
  rows: string | null;
  columns: readonly FieldSpec[];
  actions: readonly string[];
  size: { w: number; h: number };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

function fieldSpecs(value: unknown): FieldSpec[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap((entry) => {
    const path = text(entry["path"]);
    const format = FORMATS.find((known) => known === entry["format"]) ?? "text";
    return path === null ? [] : [{ path, label: entry["label"] ?? path, format }];
  });
}

const within = (value: unknown, low: number, high: number, otherwise: number): number =>
  typeof value === "number" && Number.isFinite(value) ? Math.min(high, Math.max(low, Math.round(value))) : otherwise;

export function readManifest(widget: { id: string; view: string; manifest: unknown }): Manifest {
  const raw = isRecord(widget.manifest) ? widget.manifest : {};
  const size = isRecord(raw["size"]) ? raw["size"] : {};
  return {
    id: widget.id,
    title: raw["title"] ?? widget.id,
    view: widget.view,
    section: text(raw["section"]),
    fields: fieldSpecs(raw["fields"]),
    rows: text(raw["rows"]),
    columns: fieldSpecs(raw["columns"]),
    actions: Array.isArray(raw["actions"]) ? raw["actions"].filter((id) => typeof id === "string") : [],
    size: { w: within(size["w"], 2, 12, 6), h: within(size["h"], 2, 40, 6) },
  };
}

/** What stands at a path such as `employee.hr.position`; undefined when there is nothing. */
export function valueAt(data: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => (isRecord(value) ? value[name] : undefined), data);
}
