/** Light, dark, or as the system has it; remembered by the browser. */
import { ThemeProvider } from "@gravity-ui/uikit";
import { createContext, type ReactNode, useContext, useMemo, useState } from "react";

import { useI18n } from "../i18n";

const STORAGE_KEY = "okno.theme";
export const THEMES = ["light", "dark", "system"] as const;
export type ThemeName = (typeof THEMES)[number];

const Context = createContext<{ theme: ThemeName; setTheme(theme: ThemeName): void }>({
  theme: "system",
  setTheme: () => undefined,
});

export const useTheme = () => useContext(Context);

function storedTheme(): ThemeName {
  const stored = localStorage.getItem(STORAGE_KEY);
  return THEMES.find((theme) => theme === stored) ?? "system";
}

export function ThemeRoot({ children }: { children: ReactNode }) {
  const { language } = useI18n();
  const [theme, setTheme] = useState(storedTheme);
  const value = useMemo(
    () => ({
      theme,
      setTheme: (next: ThemeName) => {
        localStorage.setItem(STORAGE_KEY, next);
        setTheme(next);
      },
    }),
    [theme],
  );
  return (
    <ThemeProvider theme={theme} lang={language}>
      <Context.Provider value={value}>{children}</Context.Provider>
    </ThemeProvider>
  );
}
