import { expect, test } from "vitest";
import {
  ago, clock, count, dateAndClock, delayText, digitsFor, duration, measuredText, NBSP, parseInstant, percent, rateText, sentence, span, zoneName,
} from "./format";

const plain = (text: string): string => text.replaceAll(NBSP, " ");

test("an instant keeps its nanoseconds", () => {
  expect(parseInstant("2026-03-01T00:30:05.123456789Z")).toEqual({ ms: Date.UTC(2026, 2, 1, 0, 30, 5, 123), ns: 456_789 });
  expect(parseInstant("2026-03-01T09:30:05+09:00")).toEqual({ ms: Date.UTC(2026, 2, 1, 0, 30, 5), ns: 0 });
  expect(parseInstant("1969-12-31T23:59:59.5Z")).toEqual({ ms: -500, ns: 0 });
});

test.each([
  [0, 9],
  [1, 9],
  [40, 7],
  [100, 7],
  [999_999, 3],
  [1_000_000, 3],
  [10_000_000, 2],
  [25_000_000, 1],
  [500_000_000, 0],
  [3_600_000_000_000, 0],
])("an instant known to %d ns shows %d digits", (boundNs, digits) => {
  expect(digitsFor(boundNs)).toBe(digits);
});

test("an instant reads in the reader's zone and in UTC, cut to its digits and never rounded up", () => {
  const at = parseInstant("2026-02-28T23:59:59.987654321Z");
  expect(clock(at, "utc", 1)).toBe("23:59:59.9");
  expect(dateAndClock(at, "reader", 5)).toBe("2026-03-01 08:59:59.98765");
  expect(dateAndClock(at, "utc", 0)).toBe("2026-02-28 23:59:59");
  expect(zoneName(at.ms)).toBe("UTC+9");
});

test.each([
  [50_000_000, "50 ms"],
  [1_250_000_000, "1.25 s"],
  [3_600_000_000_000, "3,600 s"],
  [188_400_000, "188 ms"],
  [-188_400_000, "−188 ms"],
  [43_210, "43.2 µs"],
  [7, "7 ns"],
  [0, "0 ns"],
])("%d ns is %s", (ns, text) => {
  expect(plain(duration(ns))).toBe(text);
});

test.each([
  [123_456, 380_000, "+0.12 ± 0.38 ms"],
  [-123_456, 380_000, "−0.12 ± 0.38 ms"],
  [4_300_000, 3_400_000, "+4.3 ± 3.4 ms"],
  [81_700_000, 41_234_567, "+82 ± 42 ms"],
  [1_234, 380_000, "0.00 ± 0.38 ms"],
  [12_345, 250, "+12.35 ± 0.25 µs"],
  [1_234_567, 123_400_000, "0 ± 130 ms"],
  [3_600_123_456_789, 25_000_000, "+3,600.123 ± 0.025 s"],
  [12_000_000, 1_500_000_000, "0.0 ± 1.5 s"],
])("offset %d with bound %d is %s", (offset, bound, text) => {
  expect(plain(measuredText(offset, bound))).toBe(text);
});

test("a bound is never told smaller than it is", () => {
  for (const bound of [1, 11, 101, 999, 12_345, 380_001, 99_900_001, 1_000_000_001]) {
    const told = /± ([\d.,]+) (\S+)$/.exec(plain(measuredText(0, bound)));
    const unit = { s: 1e9, ms: 1e6, "µs": 1e3, ns: 1 }[told?.[2] ?? ""] ?? Number.NaN;
    expect(Number(told?.[1]?.replaceAll(",", "")) * unit).toBeGreaterThanOrEqual(bound * (1 - 1e-6));
  }
});

test.each([
  [100, 100, "100 %"],
  [0, 100, "0 %"],
  [99_999, 100_000, "99.9 %"],
  [1, 100_000, "0.1 %"],
  [992, 1_000, "99.2 %"],
  [0, 0, "0 %"],
])("%d of %d is %s: the whole and nothing are said only of themselves", (part, whole, text) => {
  expect(plain(percent(part, whole))).toBe(text);
});

test("delays, rates and counts", () => {
  expect(plain(delayText(45_000))).toBe("0.045 ms");
  expect(plain(delayText(1_946_000))).toBe("1.95 ms");
  expect(plain(rateText(-64))).toBe("−0.06 ppm");
  expect(plain(rateText(12_345))).toBe("+12.3 ppm");
  expect(count(18_212, "en")).toBe("18,212");
});

test("spans name their two largest units in the reader's language", () => {
  expect(plain(span(3 * 86_400_000 + 4 * 3_600_000 + 59_000, "en"))).toBe("3 days 4 hr");
  expect(plain(span(90_000, "ko"))).toBe("1분 30초");
  expect(span(0, "ja")).toBe("0 秒".replace(" ", NBSP));
  expect(ago(8_400, "en")).toBe("8 seconds ago");
  expect(ago(-5, "ko")).toBe("0초 전");
});

test("the centre's own words become a sentence", () => {
  expect(sentence("the database is older")).toBe("The database is older.");
  expect(sentence("It stands still. Wait.")).toBe("It stands still. Wait.");
  expect(sentence("")).toBe(".");
});
