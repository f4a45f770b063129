/** The catalogues: one JSON file a language, found by name, so that another language is another file. */
import type en from "./en.json";

export type MessageKey = keyof typeof en;
/** A text, or one text for each plural form the language has; `{count}` chooses among them. */
export type Message = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Catalogue = Readonly<Record<MessageKey, Message>>;
export type Parameters = Readonly<Record<string, string | number>>;

const loaders = import.meta.glob<Record<string, Message>>("./*.json", { import: "default" });
const languageOf = (path: string) => path.replace(/^\.\/|\.json$/g, "");

export const LANGUAGES: readonly string[] = Object.keys(loaders).map(languageOf).sort();

export async function loadCatalogue(language: string): Promise<Catalogue> {
  const load = loaders[`./${language}.json`];
  if (load === undefined) throw new Error(`no catalogue for language ${language}; there are ${LANGUAGES.join(", ")}`);
  return (await load()) as Catalogue;
}

/** The language asked for earlier, else the first of the browser's that there is a catalogue for, else English. */
export function chooseLanguage(stored: string | null, wanted: readonly string[]): string {
  const candidates = [stored, ...wanted.map((tag) => tag.split("-")[0] ?? "")];
  return candidates.find((language) => language !== null && LANGUAGES.includes(language)) ?? "en";
}

/** Fills in `{name}`; numbers are written as the language writes them. */
export function formatMessage(message: Message, language: string, parameters: Parameters = {}): string {
  const form = typeof message === "string" ? message : pluralForm(message, language, parameters["count"]);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = parameters[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(language).format(value) : value;
  });
}

function pluralForm(forms: Exclude<Message, string>, language: string, count: string | number | undefined): string {
  const category = new Intl.PluralRules(language).select(Number(count ?? 0));
  return forms[category] ?? forms.other ?? "";
}

/** One of the texts of a map `{en: …, ru: …}` that manifests and the server give; a plain text stands for itself. */
export function pickText(texts: unknown, language: string): string {
  if (typeof texts === "string") return texts;
  if (texts === null || typeof texts !== "object") return "";
  const map = texts as Record<string, unknown>;
  const text = map[language] ?? map["en"] ?? Object.values(map)[0];
  return typeof text === "string" ? text : "";
}
