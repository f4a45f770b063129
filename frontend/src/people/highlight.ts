/** Where what was typed stands in what was found, so that one sees why it was found. */

export interface Piece {
  text: string;
  hit: boolean;
}

const NOT_DIGIT = /\D/g;
// What the search takes for one another beside accents, as far as it is one letter for one (okno/people/folding.py).
const ALIKE: Readonly<Record<string, string>> = Object.fromEntries(
  ["łl", "øo", "đd", "ðd", "ħh", "ıi", "қк", "ңн", "ғг", "үу", "ұу", "һх", "әа", "өо", "іи", "єе", "ґг", "ҳх"].map(
    (pair) => [pair.charAt(0), pair.charAt(1)],
  ),
);
const SILENT = /[\p{M}\p{Cf}'`\u2018\u2019\u02bb\u02bc\u02b9\u00b4]/gu;

/** One character as the search compares it: `Ё` and `е` are one; an apostrophe is nothing. */
const fold = (char: string): string => {
  const bare = char.normalize("NFKD").toLowerCase().replace(SILENT, "");
  return ALIKE[bare] ?? bare;
};

/** Pieces of `text` in order; words of `query` are marked wherever a word begins with or contains them. */
export function highlight(text: string, query: string): Piece[] {
  const folded: string[] = [];
  const origin: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    for (const char of fold(text.charAt(at))) {
      folded.push(char);
      origin.push(at);
    }
  }
  const words = [...query].map(fold).join("").split(/\s+/).filter(Boolean);
  const marked = new Array<boolean>(text.length).fill(false);
  const plain = folded.join("");
  for (const word of words) {
    for (let at = plain.indexOf(word); at >= 0; at = plain.indexOf(word, at + word.length))
      marked.fill(true, origin[at], (origin[at + word.length - 1] ?? 0) + 1);
  }
  return pieces(text, marked);
}

/** The same for phones: digits are compared, whatever stands between them. */
export function highlightPhone(text: string, query: string): Piece[] {
  const wanted = query.replace(NOT_DIGIT, "");
  const positions = [...text].flatMap((char, index) => (/\d/.test(char) ? [index] : []));
  const at = wanted.length < 3 ? -1 : text.replace(NOT_DIGIT, "").indexOf(wanted);
  const first = positions[at];
  const last = positions[at + wanted.length - 1];
  if (first === undefined || last === undefined) return [{ text, hit: false }];
  return pieces(text, new Array<boolean>(text.length).fill(false).fill(true, first, last + 1));
}

function pieces(text: string, marked: readonly boolean[]): Piece[] {
  const result: Piece[] = [];
  [...marked].forEach((hit, index) => {
    const last = result.at(-1);
    if (last?.hit === hit) last.text += text.charAt(index);
    else result.push({ text: text.charAt(index), hit });
  });
  return result;
}
