/** Office, city and country in one line; an office is often called by its city, which is then not said twice. */
export function placeOf(
  office: string | null | undefined,
  city: string | null | undefined,
  country: string | null | undefined,
): string {
  const named = office != null && city != null && startsWithWord(office, city);
  return [...new Set([office, named ? null : city, country].filter(Boolean))].join(", ");
}

const startsWithWord = (text: string, word: string): boolean =>
  text.startsWith(word) && !/^\p{L}/u.test(text.slice(word.length));
