/** Numbers, dates, countries and money as the reader's language writes them. */

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

const RELATIVE_DAYS = 30;
const DAY: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", year: "numeric" };
const DATE_ONLY = /^\d{4}-\d{2}-\d{2}$/;

/** A date without a time is a day on the calendar wherever one reads it: it is taken, and shown, as UTC. */
function dayOptions(text: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormatOptions {
  return DATE_ONLY.test(text) ? { ...options, timeZone: "UTC" } : options;
}

export interface Format {
  number(value: number): string;
  date(iso: string): string;
  dateTime(iso: string): string;
  /** With seconds and zone: the exact form behind a relative one. */
  exact(iso: string): string;
  /** Within a month of now in words, beyond it the day: "last month" would say too little. */
  relative(iso: string, now: number): string;
  /** With seconds: for lists in which the order within a minute matters. */
  stamp(iso: string): string;
  /** Short age for corners: "2 min"; "now" while it is too young to be counted. */
  age(iso: string, now: number): string;
  time(at: number, timeZone?: string): string;
  weekday(at: number, timeZone?: string): string;
  country(code: string): string;
  language(code: string): string;
  money(minorUnits: number, currency: string): string;
  list(items: readonly string[]): string;
}

const YOUNG_SECONDS = 10;
const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** The first of the browser's locales that is of the chosen language: who reads en-GB writes days before months. */
export function localeFor(language: string, wanted: readonly string[]): string {
  return wanted.find((tag) => tag === language || tag.startsWith(`${language}-`)) ?? language;
}

export function createFormat(language: string): Format {
  const number = new Intl.NumberFormat(language);
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
  const regions = new Intl.DisplayNames([language], { type: "region", fallback: "code" });
  const list = new Intl.ListFormat(language, { type: "conjunction" });
  const moment = (iso: string, options: Intl.DateTimeFormatOptions) => {
    const at = new Date(iso);
    return Number.isNaN(at.getTime()) ? iso : at.toLocaleString(language, dayOptions(iso, options));
  };
  return {
    number: (value) => number.format(value),
    date: (iso) => moment(iso, DAY),
    dateTime: (iso) => moment(iso, { ...DAY, ...CLOCK }),
    exact: (iso) => moment(iso, { dateStyle: "full", timeStyle: "long", hourCycle: "h23" }),
    stamp: (iso) => moment(iso, { ...DAY, ...CLOCK, second: "2-digit" }),
    relative: (iso, now) => {
      const seconds = (Date.parse(iso) - now) / 1000;
      if (Number.isNaN(seconds)) return iso;
      if (Math.abs(seconds) >= RELATIVE_DAYS * 86_400) return moment(iso, DAY);
      const [unit, size] = UNITS.find(([name, length]) => name !== "week" && Math.abs(seconds) >= length) ?? [
        "second",
        1,
      ];
      if (Math.abs(seconds) < YOUNG_SECONDS) return relative.format(0, "second");
      return relative.format(Math.trunc(seconds / size), unit);
    },
    age: (iso, now) => {
      const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
      const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? ["second", 1];
      if (seconds < YOUNG_SECONDS) return relative.format(0, "second");
      return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(
        Math.floor(seconds / size),
      );
    },
    time: (at, timeZone) => new Intl.DateTimeFormat(language, { ...CLOCK, timeZone }).format(at),
    weekday: (at, timeZone) =>
      new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long", timeZone }).format(at),
    country: (code) => {
      try {
        return regions.of(code) ?? code;
      } catch {
        return code;
      }
    },
    language: (code) => {
      const own = new Intl.DisplayNames([code], { type: "language" }).of(code) ?? code;
      return own.charAt(0).toLocaleUpperCase(code) + own.slice(1);
    },
    money: (minorUnits, currency) => {
      // Well-formed codes that nobody knows are formatted too; anything else would throw.
      if (!/^[A-Z]{3}$/.test(currency)) return `${number.format(minorUnits / 100)} ${currency}`;
      const style = new Intl.NumberFormat(language, { style: "currency", currency });
      return style.format(minorUnits / 10 ** (style.resolvedOptions().maximumFractionDigits ?? 2));
    },
    list: (items) => list.format(items),
  };
}
