/** The built files: what is loaded before the first screen fits the budget (gzip), and no style asks another origin. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET_KILOBYTES = 250;
const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), "dist");
const manifest = JSON.parse(readFileSync(join(dist, ".vite", "manifest.json"), "utf8"));

/** The entry and everything it imports statically; chunks behind `import()` come later. */
function initialFiles(key, seen = new Set()) {
  const chunk = manifest[key];
  if (chunk === undefined || seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  for (const imported of chunk.imports ?? []) initialFiles(imported, seen);
  return seen;
}

const entries = Object.keys(manifest).filter((key) => manifest[key].isEntry);
if (entries.length === 0) throw new Error("dist/.vite/manifest.json names no entry: was the build changed?");
const files = [...new Set(entries.flatMap((entry) => [...initialFiles(entry)]))];
const kilobytes = (file) => gzipSync(readFileSync(join(dist, file))).length / 1000;
const total = files.reduce((sum, file) => sum + kilobytes(file), 0);

for (const file of files) console.log(`${kilobytes(file).toFixed(1).padStart(8)} kB  ${file}`);
console.log(`initial JavaScript: ${total.toFixed(1)} kB gzipped of ${BUDGET_KILOBYTES} kB`);
if (total > BUDGET_KILOBYTES) {
  console.error("The first screen loads more JavaScript than the budget allows: import what it does not need lazily.");
  process.exit(1);
}

const styles = readdirSync(join(dist, "assets")).filter((name) => name.endsWith(".css"));
const foreign = styles.filter((name) =>
  /(?:url\(|@import)\s*["']?(?:https?:)?\/\//.test(readFileSync(join(dist, "assets", name), "utf8")),
);
if (foreign.length > 0) {
  console.error(`Styles that load from another origin: ${foreign.join(", ")}. The application works without any.`);
  process.exit(1);
}
