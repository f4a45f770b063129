/** What time it is elsewhere, and how far that is from here. */

/** Minutes that the zone is ahead of UTC at a moment; null when the browser does not know the zone. */
export function offsetMinutes(timeZone: string, at: number): number | null {
  try {
    const parts = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    }).formatToParts(at);
    const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((each) => each.type === type)?.value);
    const there = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
    return Math.round((there - Math.floor(at / 1000) * 1000) / 60_000);
  } catch {
    return null;
  }
}

export const readerTimeZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Minutes that `there` is ahead of `here`; summer time of both counts. */
export function differenceMinutes(there: string, here: string, at: number): number | null {
  const [far, near] = [offsetMinutes(there, at), offsetMinutes(here, at)];
  return far === null || near === null ? null : far - near;
}

/** `+5`, `−3:30`: hours, and minutes where there are any. */
export function signedHours(minutes: number): string {
  const size = Math.abs(minutes);
  const rest = size % 60;
  const hours = rest === 0 ? String(size / 60) : `${Math.floor(size / 60)}:${String(rest).padStart(2, "0")}`;
  return (minutes < 0 ? "−" : "+") + hours;
}

/** The hour there, 0 ≤ hour < 24, with its fraction. */
export function hourAt(timeZone: string, at: number): number | null {
  const offset = offsetMinutes(timeZone, at);
  if (offset === null) return null;
  const minutes = Math.floor(at / 60_000) + offset;
  return (((minutes % 1440) + 1440) % 1440) / 60;
}

/** Day of the week there: 0 is Sunday. */
export function weekdayAt(timeZone: string, at: number): number | null {
  const offset = offsetMinutes(timeZone, at);
  return offset === null ? null : new Date(at + offset * 60_000).getUTCDay();
}
