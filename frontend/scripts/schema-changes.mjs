/**
 * Grades schema.graphql against the schema of the newest release in docs/releases/ (docs/adr/0013-schema-evolution.md).
 * What breaks a client needs an entry in the newest section of CHANGELOG.md that begins with "Breaking:" and names the
 * coordinate; what is dangerous is printed; what is deprecated has to say until when, and what to use instead.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildASTSchema, isEnumType, isInputObjectType, isIntrospectionType, isUnionType, parse } from "graphql";

const { Breaking, Dangerous, NonBreaking } = CriticalityLevel;
const RELEASE = /^schema-(\d+)\.(\d+)\.(\d+)\.graphql$/;
const DEPRECATION = /^Until (\d{4}-\d{2}-\d{2}): \S/;
const EXECUTABLE = /^(QUERY|MUTATION|SUBSCRIPTION|FIELD|FRAGMENT_\w+|INLINE_FRAGMENT|VARIABLE_DEFINITION)$/;

// What a directive of the schema means to those who use the schema. A router composes by @key; a higher level or price may
// keep a client from what it read yesterday. One that is not listed is dangerous, so that somebody looks.
const DIRECTIVES = {
  key: Breaking,
  shareable: Breaking,
  sensitivity: Dangerous,
  cost: Dangerous,
  listSize: Dangerous,
  link: NonBreaking,
  specifiedBy: NonBreaking,
  deprecated: NonBreaking,
};

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { values: given } = parseArgs({
  options: {
    schema: { type: "string", default: join(repository, "schema.graphql") },
    releases: { type: "string", default: join(repository, "docs", "releases") },
    changelog: { type: "string", default: join(repository, "CHANGELOG.md") },
    today: { type: "string", default: new Date().toISOString().slice(0, 10) },
  },
});

const readSchema = (file) => buildASTSchema(parse(readFileSync(file, "utf8")), { assumeValidSDL: true });

/** The newest release: its version and its schema. */
function newestRelease(folder) {
  const newest = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => RELEASE.exec(name))
    .filter(Boolean)
    .sort((a, b) => a[1] - b[1] || a[2] - b[2] || a[3] - b[3])
    .at(-1);
  if (!newest) fail(`${folder} holds no schema-<version>.graphql of a release to compare with.`);
  return { version: newest.slice(1, 4).join("."), schema: readSchema(join(folder, newest[0])) };
}

/** Where a change is, as a coordinate: `Type`, `Type.field`, `Type.field(argument:)`, `Enum.VALUE`, `@directive(argument:)`. */
function coordinateOf({ path = "schema" }) {
  const [place] = path.split(".@");
  const [type, field, argument] = place.split(".");
  if (type.startsWith("@")) return field ? `${type}(${field}:)` : type;
  if (argument) return `${type}.${field}(${argument}:)`;
  return field ? `${type}.${field}` : type;
}

/** How much a change matters here, where that differs from what graphql-inspector thinks. */
function graded(change, { released, current, added }) {
  const { type, meta, criticality, path } = change;
  if (type.startsWith("DIRECTIVE_USAGE_")) return gradedUsage(change, added);
  if (type.startsWith("DIRECTIVE_")) {
    // a directive that no document can name breaks none
    const name = path.slice(1).split(".")[0];
    const locations = [released, current].flatMap((schema) => schema.getDirective(name)?.locations ?? []);
    return { level: locations.some((location) => EXECUTABLE.test(location)) ? criticality.level : NonBreaking };
  }
  if (/_DEFAULT_(VALUE_)?CHANGED$/.test(type)) {
    const [before, after] = [meta.oldDefaultValue ?? "null", meta.newDefaultValue ?? "null"];
    if (before === after) return { level: NonBreaking };
    // who left it out was served by the default, and no longer is
    if (after === "null") return { level: Breaking, reason: `It was ${before} for whoever left it out.` };
  }
  // a new argument that is null for whoever leaves it out changes nothing for them
  if (type === "FIELD_ARGUMENT_ADDED" && meta.addedToNewField) return { level: NonBreaking };
  if (type === "FIELD_ARGUMENT_ADDED" && meta.hasDefaultValue) {
    const { args } = current.getType(meta.typeName).getFields()[meta.fieldName];
    const isNull = args.find(({ name }) => name === meta.addedArgumentName).defaultValue === null;
    return { level: isNull ? NonBreaking : Dangerous };
  }
  return { level: criticality.level };
}

/** A directive that was put somewhere, taken away, or given another argument: as DIRECTIVES has it. */
function gradedUsage({ type, path, criticality }, added) {
  const place = path.replace(/(\.@\w+).*$/, "$1");
  const directive = /@(\w+)$/.exec(place)?.[1] ?? "";
  const level = Object.hasOwn(DIRECTIVES, directive) ? DIRECTIVES[directive] : Dangerous;
  const isArgument = /_USAGE_ARGUMENT_(ADDED|REMOVED)$/.test(type);
  if (isArgument) return { level: type.endsWith("_ADDED") && added.has(place) ? NonBreaking : level, directive };
  const isHarmless = type.endsWith("_ADDED") && (level === Breaking || criticality.level === NonBreaking);
  return { level: isHarmless ? NonBreaking : level, directive };
}

/** The newest section of the change log: its heading, and its entries that begin with "Breaking:". */
function newestSection(file) {
  const [, section = ""] = readFileSync(file, "utf8").split(/^## /m);
  const entries = section.split(/^[-*] /m).slice(1);
  return {
    heading: section.split("\n", 1)[0].trim(),
    breaking: entries.filter((entry) => /^\W*breaking\W*:/i.test(entry)),
  };
}

/** Everything deprecated in a schema, with its reason, by coordinate. */
function deprecations(schema) {
  const found = new Map();
  const note = (coordinate, { deprecationReason }) => {
    if (deprecationReason != null) found.set(coordinate, deprecationReason);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type) || isUnionType(type)) continue;
    if (isEnumType(type)) type.getValues().forEach((value) => note(`${type.name}.${value.name}`, value));
    for (const field of Object.values(type.getFields?.() ?? {})) {
      note(`${type.name}.${field.name}`, field);
      if (isInputObjectType(type)) continue;
      field.args.forEach((argument) => note(`${type.name}.${field.name}(${argument.name}:)`, argument));
    }
  }
  return found;
}

const isDate = (text) => !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text);

function checkDeprecations(schema, today) {
  const problems = [];
  for (const [coordinate, reason] of deprecations(schema)) {
    const until = DEPRECATION.exec(reason)?.[1];
    if (!until || !isDate(until)) {
      problems.push(
        `  ${coordinate} is deprecated with the reason ${JSON.stringify(reason)}.\n` +
          `    Write it in the code as "Until <YYYY-MM-DD>: <what to use instead>".`,
      );
    } else if (until < today) {
      console.log(
        `overdue: ${coordinate} was kept until ${until}; see who still asks for it with okno schema usage, and remove it`,
      );
    }
  }
  if (problems.length > 0) console.error(`Deprecated without a date:\n${problems.join("\n")}`);
  return problems.length === 0;
}

/** Prints what is dangerous, the directives of one name together: a price list that changed is one line. */
function printDangerous(changes) {
  const places = new Map();
  for (const { coordinate, directive, message } of changes) {
    if (directive) places.set(directive, [...(places.get(directive) ?? []), coordinate]);
    else console.log(`dangerous: ${coordinate}: ${message}`);
  }
  for (const [directive, coordinates] of places) {
    const distinct = [...new Set(coordinates)];
    const shown =
      distinct.length > 5 ? `${distinct.slice(0, 5).join(", ")} and ${distinct.length - 5} more` : distinct.join(", ");
    console.log(`dangerous: @${directive} changed at ${shown}`);
  }
}

function checkBreaking(changes, release, section) {
  const isSaid = ({ coordinate }) => section.breaking.some((entry) => entry.includes(`\`${coordinate}\``));
  const silent = changes.filter((change) => !isSaid(change));
  if (silent.length === 0) return true;
  const closed = section.heading.includes(release.version);
  console.error(`Breaking since ${release.version}, and CHANGELOG.md does not say so:`);
  for (const { coordinate, message, reason } of silent) {
    console.error(`  ${coordinate}: ${message}${reason ? ` (${reason})` : ""}`);
  }
  console.error("Who would break: okno schema breaks <coordinate>, on a deployment that is used.");
  console.error(
    `Take it back, or write to CHANGELOG.md${closed ? ', into a new section "## Unreleased"' : `, section "${section.heading}"`}:`,
  );
  for (const coordinate of new Set(silent.map((change) => change.coordinate))) {
    console.error(`  - Breaking: \`${coordinate}\` <what changed, and what clients do instead>`);
  }
  return false;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const release = newestRelease(given.releases);
const current = readSchema(given.schema);
const section = newestSection(given.changelog);
// the section of the release itself speaks of what the release has already broken
const open = section.heading.includes(release.version) ? { ...section, breaking: [] } : section;
const promised = deprecations(release.schema);
const found = await diff(release.schema, current);
const usage = found.filter(
  ({ type }) => /^DIRECTIVE_USAGE_\w+_ADDED$/.test(type) && type !== "DIRECTIVE_USAGE_ARGUMENT_ADDED",
);
const context = { released: release.schema, current, added: new Set(usage.map(({ path }) => path)) };
const changes = found.map((change) => {
  const { level, reason, directive } = graded(change, context);
  const coordinate = coordinateOf(change);
  const until = DEPRECATION.exec(promised.get(coordinate) ?? "")?.[1];
  const promise = level === Breaking && until > given.today ? `It was promised until ${until}.` : undefined;
  return { coordinate, level, reason: promise ?? reason, directive, message: change.message };
});
const breaking = changes.filter((change) => change.level === Breaking);
const dangerous = changes.filter((change) => change.level === Dangerous);
printDangerous(dangerous);
const passed = [checkDeprecations(current, given.today), checkBreaking(breaking, release, open)];
if (passed.includes(false)) process.exit(1);
console.log(
  `schema since ${release.version}: ${changes.length} changes, ${breaking.length} breaking and announced, ${dangerous.length} dangerous`,
);
