import { expect, test } from "vitest";
import { askedPeriod, askedQuery, localText, monthFrom, monthName } from "./month";

test.each([
  ["", {}],
  ["month=2026-10", { month: "2026-10" }],
  ["month=2026-13", {}],
  ["month=2026-10&from=2026-10-01&to=2026-10-02", { from: "2026-10-01", to: "2026-10-02" }],
  ["from=2026-10-01", {}],
])("%s", (query, sent) => {
  expect(askedQuery(askedPeriod(new URLSearchParams(query)))).toEqual(sent);
});

test.each([
  ["2026-10", -1, "2026-09"],
  ["2026-01", -1, "2025-12"],
  ["2025-12", 1, "2026-01"],
  ["2026-10", -22, "2024-12"],
])("%s and %d months", (month, away, expected) => {
  expect(monthFrom(month, away)).toBe(expected);
});

test("months and days are told in the reader's language", () => {
  expect([monthName("2026-10", "en"), monthName("2026-10", "ko"), monthName("2026-10", "ja")]).toEqual([
    "October 2026",
    "2026년 10월",
    "2026年10月",
  ]);
  expect(localText("2026-10-01T00:00:00+02:00")).toBe("2026-10-01");
  expect(localText("2018-11-04T01:00:00-02:00")).toBe("2018-11-04 01:00");
});
