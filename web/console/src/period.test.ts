import { expect, test } from "vitest";
import { bounds, chosenPeriod, FIRST, periodQuery, refreshMs } from "./period";
import { routeOf } from "./router";

const chosen = (text: string): ReturnType<typeof chosenPeriod> => chosenPeriod(new URLSearchParams(text));

test("the address bar names the period; nonsense is the first one", () => {
  expect(chosen("period=24h")).toEqual({ kind: "last", length: "24h" });
  expect(chosen("")).toEqual({ kind: "last", length: FIRST });
  expect(chosen("period=toString")).toEqual({ kind: "last", length: FIRST });
  expect(chosen("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z")).toEqual({ kind: "last", length: FIRST });
});

test("a fixed period survives its way through the address bar", () => {
  const fixed = { kind: "fixed", fromMs: Date.UTC(2026, 2, 1), toMs: Date.UTC(2026, 2, 2, 3, 4, 5, 678) } as const;
  expect(periodQuery(fixed)).toEqual({ from: "2026-03-01T00:00:00Z", to: "2026-03-02T03:04:05.678Z" });
  expect(chosen(new URLSearchParams(periodQuery(fixed)).toString())).toEqual(fixed);
  expect(bounds(fixed, 0)).toEqual([fixed.fromMs, fixed.toMs]);
});

test("a moving period ends now and is asked for no more often than it can change", () => {
  expect(bounds({ kind: "last", length: "1h" }, 3_600_000.4)).toEqual([0, 3_600_000]);
  expect(refreshMs(0, 900_000)).toBe(2_000);
  expect(refreshMs(0, 30 * 86_400_000)).toBe(60_000);
});

test("addresses lead to pages", () => {
  expect(routeOf("/")).toEqual({ page: "overview" });
  expect(routeOf("/customers/acme.kr")).toEqual({ page: "customer", customer: "acme.kr" });
  expect(routeOf("/customers/a%20b/")).toEqual({ page: "customer", customer: "a b" });
  expect(routeOf("/log")).toEqual({ page: "log" });
  expect(routeOf("/customers/%E0%A4%A")).toEqual({ page: "missing" });
  expect(routeOf("/elsewhere")).toEqual({ page: "missing" });
});
