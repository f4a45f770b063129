import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import {
  type Message,
  type Catalogue,
  chooseLanguage,
  formatMessage,
  LANGUAGES,
  loadCatalogue,
  pickText,
} from "./messages";

const SOURCE = join(import.meta.dirname, "..");
const WIDGETS = join(SOURCE, "..", "..", "widgets");
const english = await loadCatalogue("en");

const forms = (message: Message): string[] => (typeof message === "string" ? [message] : Object.values(message));
const names = (message: Message): string[] =>
  [...new Set(forms(message).flatMap((form) => [...form.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "")))].sort();

describe.each(LANGUAGES)("the catalogue %s", (language) => {
  test("has the same keys as the English one", async () => {
    expect(Object.keys(await loadCatalogue(language)).sort()).toEqual(Object.keys(english).sort());
  });

  test("fills in the same values", async () => {
    for (const [key, message] of Object.entries(await loadCatalogue(language))) {
      expect(names(message), key).toEqual(names(english[key as keyof Catalogue]));
    }
  });

  test("has every plural form the language has, and no empty text", async () => {
    const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    for (const [key, message] of Object.entries(await loadCatalogue(language))) {
      if (typeof message !== "string") expect(Object.keys(message).sort(), key).toEqual([...categories].sort());
      for (const form of forms(message)) expect(form.trim(), key).not.toBe("");
    }
  });
});

test("every text is used somewhere, directly or by a code", () => {
  const files = [SOURCE, WIDGETS].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/.test(name) && !name.includes("generated") && !name.includes(".test."))
      .map((name) => readFileSync(join(folder, name), "utf8")),
  );
  const text = files.join("\n");
  const prefixes = [...text.matchAll(/`([a-z_.]+\.)\$\{/g)].map(([, prefix]) => prefix ?? "");
  const middles = [...text.matchAll(/`([a-z_]+\.)\$\{[^}]+\}(\.[a-z]+)/g)].map(
    ([, before, after]) => [before ?? "", after ?? ""] as const,
  );
  const isUsed = (key: string) =>
    text.includes(`"${key}"`) ||
    prefixes.some((prefix) => key.startsWith(prefix)) ||
    middles.some(([before, after]) => key.startsWith(before) && key.endsWith(after));
  expect(Object.keys(english).filter((key) => !isUsed(key))).toEqual([]);
});

test("Russian chooses among its three plural forms", async () => {
  const message = (await loadCatalogue("ru"))["search.found"];
  const text = (count: number) => formatMessage(message, "ru", { count });
  expect([text(1), text(2), text(5), text(21)]).toEqual([
    "Найден 1 сотрудник",
    "Найдено 2 сотрудника",
    "Найдено 5 сотрудников",
    "Найден 21 сотрудник",
  ]);
});

test("the language asked for wins, then the browser's, then English", () => {
  expect(chooseLanguage("ru", ["en-GB"])).toBe("ru");
  expect(chooseLanguage("xx", ["ru-RU", "en"])).toBe("ru");
  expect(chooseLanguage(null, ["ja-JP"])).toBe("en");
});

test("a text of a manifest falls back to English, and never to an object", () => {
  expect(pickText({ en: "Unlock", ru: "Разблокировать" }, "ru")).toBe("Разблокировать");
  expect(pickText({ en: "Unlock" }, "pt")).toBe("Unlock");
  expect(pickText({ en: 5 }, "en")).toBe("");
  expect(pickText("plain", "ru")).toBe("plain");
});

// Every code with which the back end answers a browser; the texts of sources stand under SOURCE_.
const CODES = {
  requests: [
    "BAD_REQUEST",
    "BAD_USER_INPUT",
    "CSRF",
    "CONFIGURATION",
    "CONFLICT",
    "DENIED",
    "GRAPHQL_EXECUTION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "INTERNAL",
    "INVALID_INPUT",
    "LIMIT_EXCEEDED",
    "METHOD_NOT_ALLOWED",
    "NETWORK",
    "NOT_ACCEPTABLE",
    "NOT_FOUND",
    "RATE_LIMITED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNKNOWN_OUTCOME",
    "UNREACHABLE",
    "UNSUPPORTED_MEDIA_TYPE",
  ],
  operations: [
    "DENIED",
    "NOT_FOUND",
    "INVALID_INPUT",
    "PREVIEW_INVALID",
    "PREVIEW_EXPIRED",
    "PREVIEW_CHANGED",
    "NOTHING_TO_CHANGE",
    "CONFLICT",
    "STILL_RUNNING",
    "SETTLED",
    "NOT_STARTED",
  ],
  sources: ["TIMEOUT", "UNREACHABLE", "REFUSED", "BAD_ANSWER", "NOT_FOUND", "BREAKER_OPEN", "NO_KEY", "OVERLOADED"].map(
    (code) => `SOURCE_${code}`,
  ),
  signIn: [
    "STATE_MISMATCH",
    "SIGN_IN_EXPIRED",
    "TOO_MANY_ATTEMPTS",
    "RATE_LIMITED",
    "PROVIDER_REFUSED",
    "ID_TOKEN_INVALID",
    "LOGIN_MISSING",
    "GROUPS_MALFORMED",
    "NO_TEAM",
    "LOGIN_TAKEN",
    "ACCOUNT_DISABLED",
    "UNAVAILABLE",
    "CONFIGURATION",
    "NOT_FOUND",
    "UNKNOWN_LOGIN",
    "CSRF",
    "INVALID_INPUT",
  ],
};

test.each(Object.entries(CODES))("every code of %s has a text", (_kind, codes) => {
  expect(codes.filter((code) => !(`error.${code}` in english))).toEqual([]);
});
