// What a test hands to a script: one line of JSON on the standard input.
import { createInterface } from "node:readline/promises";

/** The JSON of the first line. */
export async function given() {
  for await (const line of createInterface({ input: process.stdin })) return JSON.parse(line);
  throw new Error("nothing was given on the standard input");
}

/** Hands the result back, and nothing else may be written there. */
export function answer(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
