import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const api = process.env["OKNO_API"] ?? "http://127.0.0.1:8000";

/** The server registers what lies beside the page: the only documents that it runs for a browser's session. */
const documents: Plugin = {
  name: "okno-documents",
  apply: "build",
  generateBundle() {
    const source = readFileSync(path("./src/generated/documents.json"), "utf8");
    this.emitFile({ type: "asset", fileName: "documents.json", source });
  },
};

// Widgets live beside the application (../widgets), so what they import is resolved here, not next to them.
const SHARED_WITH_WIDGETS = ["react", "react-dom", "@gravity-ui/uikit", "@gravity-ui/icons", "urql"];

export default defineConfig({
  plugins: [react(), documents],
  resolve: {
    alias: [{ find: /^okno\/(.*)$/, replacement: `${path("./src")}/$1` }],
    dedupe: SHARED_WITH_WIDGETS,
  },
  server: {
    port: 5173,
    fs: { allow: [path("."), path("../widgets")] },
    // The server admits pages of its own origin only; while one develops, the page comes from here.
    proxy: {
      "/graphql": { target: api, ws: true, headers: { origin: api } },
      "/auth": { target: api, headers: { origin: api } },
    },
  },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    manifest: true,
    sourcemap: false,
  },
  test: {
    environment: "jsdom",
    testTimeout: 60_000,
    include: ["src/**/*.test.{ts,tsx}", "eslint/*.test.js"],
    setupFiles: ["src/test-setup.ts"],
    css: false,
    server: { deps: { inline: [/@gravity-ui/] } },
  },
});
