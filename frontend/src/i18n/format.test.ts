import { expect, test } from "vitest";

import { createFormat, localeFor } from "./format";

const en = createFormat("en");
const NOW = Date.parse("2026-11-02T09:00:00Z");

test("a day of the calendar is the same day in every time zone", () => {
  expect(en.date("2026-11-02")).toBe("Nov 2, 2026");
});

test("near moments are relative and far ones are days", () => {
  expect(en.relative("2026-11-02T08:30:00Z", NOW)).toBe("30 minutes ago");
  expect(en.relative("2026-11-03T10:00:00Z", NOW)).toBe("tomorrow");
  expect(en.relative("2026-10-20T09:00:00Z", NOW)).toBe("13 days ago");
  expect(en.relative("2026-08-01T09:00:00Z", NOW)).toBe("Aug 1, 2026");
});

test("ages are short, and never below zero when clocks differ", () => {
  expect(en.age("2026-11-02T08:58:00Z", NOW)).toBe("2 min");
  expect(en.age("2026-11-02T09:00:30Z", NOW)).toBe("now");
});

test("money has as many digits as its currency", () => {
  expect(en.money(123450, "USD")).toBe("$1,234.50");
  expect(en.money(1234, "JPY")).toBe("¥1,234");
  expect(en.money(100, "roubles")).toBe("1 roubles");
});

test("what is no moment and no country is shown as it is", () => {
  expect(en.dateTime("soon")).toBe("soon");
  expect(en.relative("soon", NOW)).toBe("soon");
  expect(en.country("RU")).toBe("Russia");
  expect(en.country("not a code")).toBe("not a code");
});

test("clocks have 24 hours, also where the locale has twelve", () => {
  const local = "2026-11-02T21:05:09";
  expect(en.dateTime(local)).toBe("Nov 2, 2026, 21:05");
  expect(en.stamp(local)).toBe("Nov 2, 2026, 21:05:09");
  expect(en.exact(local)).toContain("21:05:09");
  expect(createFormat("en-GB").dateTime(local)).toBe("2 Nov 2026, 21:05");
});

test("the browser's own form of the chosen language is followed, and no other language's", () => {
  expect(localeFor("en", ["ru-RU", "en-GB", "en-US"])).toBe("en-GB");
  expect(localeFor("en", ["ru-RU", "enm"])).toBe("en");
});

test("what has just happened is now, not zero of something", () => {
  expect(en.relative("2026-11-02T08:59:57Z", NOW)).toBe("now");
  expect(en.relative("2026-11-02T08:59:30Z", NOW)).toBe("30 seconds ago");
  expect(createFormat("ru").age("2026-11-02T08:59:57Z", NOW)).toBe("сейчас");
});
