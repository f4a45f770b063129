import { expect, test } from "vitest";

import { hueOf, initialsOf } from "./avatar";
import { highlight, highlightPhone } from "./highlight";
import { placeOf } from "./place";
import { differenceMinutes, hourAt, offsetMinutes, signedHours, weekdayAt } from "./time-zone";

const marked = (pieces: { text: string; hit: boolean }[]) =>
  pieces.map(({ text, hit }) => (hit ? `[${text}]` : text)).join("");
const WINTER = Date.parse("2026-01-15T12:00:00Z");
const SUMMER = Date.parse("2026-07-15T12:00:00Z");

test("every typed word is marked where it stands", () => {
  expect(marked(highlight("Иван Петров", "петр ив"))).toBe("[Ив]ан [Петр]ов");
  expect(marked(highlight("ivan.petrov", "IVAN"))).toBe("[ivan].petrov");
  expect(marked(highlight("Anna", "ann na"))).toBe("[Anna]");
});

test("nothing typed, or nothing there, marks nothing", () => {
  expect(marked(highlight("Anna", "  "))).toBe("Anna");
  expect(marked(highlight("Anna", "zz"))).toBe("Anna");
  expect(marked(highlight("İpek", "pe"))).toBe("İ[pe]k");
});

test("phones are compared by their digits", () => {
  expect(marked(highlightPhone("+7 495 123-45-67", "9512345"))).toBe("+7 4[95 123-45]-67");
  expect(marked(highlightPhone("+7 495 123-45-67", "12"))).toBe("+7 495 123-45-67");
});

test("initials are the first and the last name's, in any alphabet", () => {
  expect(initialsOf("Иван Петров")).toBe("ИП");
  expect(initialsOf("Maximiliana Konstantinopolskaya-Preobrazhenskaya")).toBe("MP");
  expect(initialsOf("李")).toBe("李");
  expect(initialsOf("")).toBe("");
  expect(hueOf("a")).toBe(hueOf("a"));
});

test("summer time counts in the difference", () => {
  expect(differenceMinutes("Asia/Almaty", "Europe/Berlin", WINTER)).toBe(240);
  expect(differenceMinutes("Asia/Almaty", "Europe/Berlin", SUMMER)).toBe(180);
  expect(offsetMinutes("Asia/Kolkata", WINTER)).toBe(330);
});

test("an unknown time zone is unknown, not midnight", () => {
  expect(offsetMinutes("Mars/Olympus", WINTER)).toBeNull();
  expect(differenceMinutes("Mars/Olympus", "UTC", WINTER)).toBeNull();
  expect(hourAt("Mars/Olympus", WINTER)).toBeNull();
});

test("hours and days of the other place are its own", () => {
  expect(hourAt("America/Bogota", WINTER)).toBe(7);
  expect(weekdayAt("Pacific/Auckland", Date.parse("2026-01-16T12:00:00Z"))).toBe(6);
});

test("differences are written with sign and minutes", () => {
  expect([signedHours(300), signedHours(-210), signedHours(0)]).toEqual(["+5", "−3:30", "+0"]);
});

test("a city that the office is called by is not said twice", () => {
  expect(placeOf("Moscow, Totem", "Moscow", "Russia")).toBe("Moscow, Totem, Russia");
  expect(placeOf("Omskaya 5", "Omsk", "Russia")).toBe("Omskaya 5, Omsk, Russia");
  expect(placeOf(null, "Lagos", null)).toBe("Lagos");
});

test("marks follow the folding of the search", () => {
  expect(marked(highlight("Пётр Йорк", "петр иор"))).toBe("[Пётр] [Йор]к");
  expect(marked(highlight("João O’Brien", "joao obrien"))).toBe("[João] [O’Brien]");
});
