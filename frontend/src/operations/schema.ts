/** The form of an operation, read from the JSON Schema of its input. What a form cannot ask is refused, not guessed. */

export type FieldKind = "text" | "long-text" | "choice" | "boolean" | "integer";

export interface FormField {
  name: string;
  kind: FieldKind;
  /** `{en, ru}` */
  title: unknown;
  description: unknown;
  required: boolean;
  initial: FormValue;
  choices: readonly { value: string; title: unknown }[];
  minimum: number | null;
  maximum: number | null;
  minLength: number;
  maxLength: number | null;
  pattern: string | null;
}

export type FormValue = string | number | boolean | null;
export type FormValues = Readonly<Record<string, FormValue>>;
/** Why a value will not do, as a key of the catalogue behind `form.`. */
export type Complaint =
  "required" | "too_short" | "too_long" | "pattern" | "integer" | "minimum" | "maximum" | "choice";

type Raw = Record<string, unknown>;
const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
const LONG = 120;

export class UnsupportedSchema extends Error {}

export function readForm(schema: unknown): FormField[] {
  if (!isRaw(schema)) return [];
  const required = new Set(Array.isArray(schema["required"]) ? (schema["required"] as unknown[]) : []);
  const properties = isRaw(schema["properties"]) ? schema["properties"] : {};
  return Object.entries(properties).map(([name, definition]) => {
    if (!isRaw(definition)) throw new UnsupportedSchema(name);
    return readField(name, definition, required.has(name));
  });
}

function readField(name: string, raw: Raw, required: boolean): FormField {
  const choices = readChoices(raw);
  const kind = kindOf(name, raw, choices.length > 0);
  return {
    name,
    kind,
    title: raw["x-title"] ?? raw["title"] ?? name,
    description: raw["x-description"] ?? raw["description"] ?? null,
    required,
    initial: initialOf(raw["default"], kind),
    choices,
    minimum: number(raw["minimum"]),
    maximum: number(raw["maximum"]),
    minLength: number(raw["minLength"]) ?? 0,
    maxLength: number(raw["maxLength"]),
    pattern: typeof raw["pattern"] === "string" ? raw["pattern"] : null,
  };
}

function initialOf(given: unknown, kind: FieldKind): FormValue {
  if (typeof given === "string" || typeof given === "number" || typeof given === "boolean") return given;
  return kind === "boolean" ? false : null;
}

function kindOf(name: string, raw: Raw, hasChoices: boolean): FieldKind {
  if (hasChoices) return "choice";
  const types = (Array.isArray(raw["type"]) ? (raw["type"] as unknown[]) : [raw["type"]]).filter(
    (type) => type !== "null",
  );
  switch (types[0]) {
    case "string":
      return (number(raw["maxLength"]) ?? 0) > LONG || raw["x-multiline"] === true ? "long-text" : "text";
    case "boolean":
      return "boolean";
    case "integer":
      return "integer";
    default:
      throw new UnsupportedSchema(name);
  }
}

/** `enum` (titles in `x-enum-titles`, by value), or `oneOf` of constants with an `x-title` each. */
function readChoices(raw: Raw): { value: string; title: unknown }[] {
  const titles = isRaw(raw["x-enum-titles"]) ? raw["x-enum-titles"] : {};
  if (Array.isArray(raw["enum"])) {
    return (raw["enum"] as unknown[])
      .filter((value) => typeof value === "string")
      .map((value) => ({ value, title: titles[value] ?? value }));
  }
  if (!Array.isArray(raw["oneOf"])) return [];
  return (raw["oneOf"] as unknown[]).flatMap((option) =>
    isRaw(option) && typeof option["const"] === "string"
      ? [{ value: option["const"], title: option["x-title"] ?? option["const"] }]
      : [],
  );
}

export const initialValues = (fields: readonly FormField[]): FormValues =>
  Object.fromEntries(fields.map((field) => [field.name, field.initial]));

export function complaintAbout(field: FormField, value: FormValue): Complaint | null {
  if (value === null || value === "") return field.required ? "required" : null;
  if (field.kind === "choice") return field.choices.some((choice) => choice.value === value) ? null : "choice";
  if (field.kind === "integer") {
    if (typeof value !== "number" || !Number.isInteger(value)) return "integer";
    if (field.minimum !== null && value < field.minimum) return "minimum";
    return field.maximum !== null && value > field.maximum ? "maximum" : null;
  }
  if (typeof value !== "string") return null;
  const length = [...value].length;
  if (value.trim() === "" && field.required) return "required";
  if (length < field.minLength) return "too_short";
  if (field.maxLength !== null && length > field.maxLength) return "too_long";
  return field.pattern !== null && !new RegExp(field.pattern, "u").test(value) ? "pattern" : null;
}

/** What is sent: fields left empty are left out. */
export const toInput = (values: FormValues): Record<string, FormValue> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== ""));
