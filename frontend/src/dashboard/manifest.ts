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
  "alert",
] as const;
export type FieldFormat = (typeof FORMATS)[number];

export const TONES = ["warning", "danger", "info", "positive"] as const;
export type Tone = (typeof TONES)[number];

export interface FieldSpec {
  /** Facts: from the root of the answer, `employee.hr.position`. Columns: from the row. */
  path: string;
  label: unknown;
  format: FieldFormat;
  /** Of an alert: the values that have to stand out, by how. */
  tones?: Readonly<Partial<Record<Tone, readonly unknown[]>>>;
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
    if (path === null) return [];
    const field = { path, label: entry["label"] ?? path, format };
    return format === "alert" ? [{ ...field, tones: tonesOf(entry["tones"]) }] : [field];
  });
}

function tonesOf(value: unknown): Partial<Record<Tone, readonly unknown[]>> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    TONES.flatMap((tone) => (Array.isArray(value[tone]) ? [[tone, value[tone] as unknown[]]] : [])),
  );
}

/** How a value has to stand out; null for one that need not. */
export const toneOf = ({ tones = {} }: FieldSpec, value: unknown): Tone | null =>
  TONES.find((tone) => tones[tone]?.includes(value)) ?? null;

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
