/** Where what was typed stands in what was found, so that one sees why it was found. */

export interface Piece {
  text: string;
  hit: boolean;
}

const NOT_DIGIT = /\D/g;

/** Pieces of `text` in order; words of `query` are marked wherever a word begins with or contains them. */
export function highlight(text: string, query: string): Piece[] {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const lower = text.toLocaleLowerCase();
  // Lower-casing may change the length (İ): then marks would be off, and none is better than a wrong one.
  if (words.length === 0 || lower.length !== text.length) return [{ text, hit: false }];
  const marked = new Array<boolean>(text.length).fill(false);
  for (const word of words) {
    for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + word.length))
      marked.fill(true, at, at + word.length);
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
