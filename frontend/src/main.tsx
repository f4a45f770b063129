/** The wiring: styles, language, theme, session, then the shell. */
import "@gravity-ui/uikit/styles/styles.css";
import "./shell/global.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { I18nProvider } from "./i18n";
import { App } from "./shell/App";
import { ThemeRoot } from "./shell/theme";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");

createRoot(root).render(
  <StrictMode>
    <I18nProvider>
      <ThemeRoot>
        <App />
      </ThemeRoot>
    </I18nProvider>
  </StrictMode>,
);
