/** The reader's language: texts by key, formats, and texts from manifests. */
import { configure } from "@gravity-ui/uikit";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";

import { createFormat, type Format, localeFor } from "./format";
import {
  type Catalogue,
  chooseLanguage,
  formatMessage,
  loadCatalogue,
  type MessageKey,
  type Parameters,
  pickText,
} from "./messages";

const STORAGE_KEY = "okno.language";

export interface I18n {
  language: string;
  t(key: MessageKey, parameters?: Parameters): string;
  /** A text by a key made at run time, such as an error code; null when the catalogue has none. */
  find(key: string, parameters?: Parameters): string | null;
  pick(texts: unknown): string;
  format: Format;
  setLanguage(language: string): void;
}

const Context = createContext<I18n | null>(null);

export function useI18n(): I18n {
  const i18n = useContext(Context);
  if (i18n === null) throw new Error("useI18n outside of I18nProvider");
  return i18n;
}

export function createI18n(language: string, catalogue: Catalogue, setLanguage: (language: string) => void): I18n {
  return {
    language,
    t: (key, parameters) => formatMessage(catalogue[key], language, parameters),
    find: (key, parameters) => {
      const message = (catalogue as Record<string, Catalogue[MessageKey] | undefined>)[key];
      return message === undefined ? null : formatMessage(message, language, parameters);
    },
    pick: (texts) => pickText(texts, language),
    format: createFormat(localeFor(language, navigator.languages)),
    setLanguage,
  };
}

/** Draws nothing until the catalogue is here (a few kB from the same origin), then never again without texts. */
export function I18nProvider({ children }: { children: ReactNode }) {
  const [wanted, setWanted] = useState(() => chooseLanguage(localStorage.getItem(STORAGE_KEY), navigator.languages));
  const [loaded, setLoaded] = useState<{ language: string; catalogue: Catalogue } | null>(null);

  useEffect(() => {
    let current = true;
    void loadCatalogue(wanted).then((catalogue) => {
      if (!current) return;
      configure({ lang: wanted as "en", fallbackLang: "en" });
      document.documentElement.lang = wanted;
      setLoaded({ language: wanted, catalogue });
    });
    return () => {
      current = false;
    };
  }, [wanted]);

  const setLanguage = useCallback((language: string) => {
    localStorage.setItem(STORAGE_KEY, language);
    setWanted(language);
  }, []);
  const i18n = useMemo(
    () => (loaded === null ? null : createI18n(loaded.language, loaded.catalogue, setLanguage)),
    [loaded, setLanguage],
  );
  return i18n === null ? null : <Context.Provider value={i18n}>{children}</Context.Provider>;
}

export { Context as I18nContext };
