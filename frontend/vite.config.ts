import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const api = "http://127.0.0.1:8000";

// Widgets live beside the application (../widgets), so what they import is resolved here, not next to them.
const SHARED_WITH_WIDGETS = ["react", "react-dom", "@gravity-ui/uikit", "@gravity-ui/icons", "urql"];

export default defineConfig({
  plugins: [react()],
  resolve: {
    alias: [{ find: /^okno\/(.*)$/, replacement: `${path("./src")}/$1` }],
    dedupe: SHARED_WITH_WIDGETS,
  },
  server: {
    port: 5173,
    fs: { allow: [path("."), path("../widgets")] },
    proxy: { "/graphql": api, "/auth": api },
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
