/** What was last known, while a later answer failed: a page that is open must not fall away under one's hands. */
import { useState } from "react";

export function useKept<T>(value: T | null | undefined): T | null {
  const [kept, setKept] = useState<T | null>(value ?? null);
  if (value !== null && value !== undefined && value !== kept) setKept(value);
  return value ?? kept;
}
