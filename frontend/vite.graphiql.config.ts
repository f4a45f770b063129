import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Its style sheet brings 300 kB of fonts as data: addresses, which the policy of the page does not load. */
const withoutFonts: Plugin = {
  name: "okno:without-fonts",
  enforce: "pre",
  transform: (code, id) =>
    id.includes("graphiql/dist/style.css") ? { code: code.replace(/@font-face\{[^}]*\}/g, ""), map: null } : null,
};

// GraphiQL is a page of its own, at /graphql in a browser: nothing of it is in what the application loads.
export default defineConfig({
  root: path("./graphiql"),
  base: "/graphql/explorer/",
  plugins: [react(), withoutFonts],
  resolve: { alias: [{ find: "react-style-singleton", replacement: path("./graphiql/no-styles.ts") }] },
  build: {
    target: "es2022",
    outDir: path("./dist/graphiql"),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    reportCompressedSize: false,
    sourcemap: false,
    rolldownOptions: {
      // One of GraphiQL's libraries is compiled already and says so; that the bundler drops the remark changes nothing.
      checks: { moduleLevelDirective: false },
    },
  },
});
