import type { Graph, Point } from "@angbu/shared/client";
import { expect, test } from "vitest";
import { DAY, roundUp, timeTicks, valueTicks } from "./axis";
import { offsetLimit } from "./layout";
import { beyond, envelope, nearest, notched, periodAt, runs, stops } from "./series";

const point = (at_ms: number, offset = 0, bound_ns = 1): Point => ({
  at_ms, offset_min_ns: offset, offset_max_ns: offset, delay_ns: 1, bound_ns,
});
const seoul = (): number => 9 * 3_600_000;
const same = (value: number): number => value;

test("points further apart than the gap are not joined", () => {
  const found = runs([0, 10, 20, 60, 70, 200].map((at) => point(at)), 10);
  expect(found.map((run) => run.map((each) => each.at_ms))).toEqual([[0, 10, 20], [60, 70], [200]]);
  expect(runs([], 10)).toEqual([]);
});

test("an envelope goes there and back; one line and one point stay open", () => {
  const upper = (each: Point): number => each.offset_max_ns;
  const lower = (each: Point): number => each.offset_min_ns;
  const wide = [{ ...point(0), offset_max_ns: 2 }, { ...point(10), offset_max_ns: 3 }];
  expect(envelope(wide, same, same, upper, lower)).toBe("M0 2L10 3L10 0L0 0Z");
  expect(envelope([point(0, 1), point(10, 2)], same, same, upper, lower)).toBe("M0 1L10 2");
  expect(envelope([point(5, 1)], same, same, upper, lower)).toBe("M5 1L5 1h0.01");
});

test("what leaves the scale is marked, not every pixel of it", () => {
  const points = [point(0, 1), point(10, 99), point(11, 99), point(12, -99), point(30, 99)];
  expect(beyond(points, 50, same)).toEqual([{ x: 10, above: true }, { x: 12, above: false }, { x: 30, above: true }]);
});

test("the cursor stops at exchanges and at marks, in order, once", () => {
  expect(stops([point(30), point(10)], [{ at_ms: 20, kind: "alarm" }, { at_ms: 30, kind: "stop" }])).toEqual([10, 20, 30]);
});

test("the nearest point is found on either side, and a gap has none", () => {
  const points = [point(0), point(10), point(100)];
  expect(nearest(points, 6, 20)?.at_ms).toBe(10);
  expect(nearest(points, 4, 20)?.at_ms).toBe(0);
  expect(nearest(points, 50, 20)).toBeUndefined();
  expect(nearest([], 50, 20)).toBeUndefined();
});

test("a period holds its start and, at the very end, its end", () => {
  const periods: Graph["periods"] = [
    { from_ms: 0, to_ms: 10, verdict: "within", why: "within" },
    { from_ms: 10, to_ms: 20, verdict: "outside", why: "outside" },
  ];
  expect(periodAt(periods, 10)?.verdict).toBe("outside");
  expect(periodAt(periods, 20)?.verdict).toBe("outside");
  expect(periodAt(periods, 21)).toBeUndefined();
});

test("time ticks stand on round times of the reader's zone", () => {
  const from = Date.UTC(2026, 2, 1, 3, 17, 40);
  const quarter = timeTicks(from, from + 15 * 60_000, 8, seoul);
  expect(quarter.stepMs).toBe(2 * 60_000);
  expect(new Date(quarter.atMs[0]!).toISOString()).toBe("2026-03-01T03:18:00.000Z");
  const month = timeTicks(from, from + 30 * DAY, 10, seoul);
  // Midnight in Seoul is 15:00 in UTC.
  expect(month.atMs.every((at) => new Date(at).toISOString().endsWith("T15:00:00.000Z"))).toBe(true);
  expect(month.atMs.length).toBeLessThanOrEqual(10);
});

test("days stay at midnight when the zone's offset changes under them", () => {
  const change = Date.UTC(2026, 2, 29, 1);
  const berlin = (at: number): number => (at >= change ? 2 : 1) * 3_600_000;
  const { atMs } = timeTicks(Date.UTC(2026, 2, 27), Date.UTC(2026, 3, 1), 6, berlin);
  expect(atMs.map((at) => new Date(at).getUTCHours())).toEqual([23, 23, 22, 22, 22]);
});

test("value ticks are round and reach neither over nor under", () => {
  expect(valueTicks(-70, 70, 6)).toEqual([-50, 0, 50]);
  expect(valueTicks(-1.2, 1.2, 6)).toEqual([-1, -0.5, 0, 0.5, 1]);
  expect(roundUp(4.843)).toBe(6);
  expect(roundUp(1)).toBe(1);
  expect(roundUp(117_000)).toBe(200_000);
});

test("the tolerance sets the scale, unless the data is asked for", () => {
  const graph = { tolerance_ns: 50, points: [point(0, -20, 4)] } as unknown as Graph;
  expect(offsetLimit(graph, "tolerance")).toBe(70);
  expect(offsetLimit(graph, "data")).toBeCloseTo(27.6);
  expect(offsetLimit({ ...graph, points: [] }, "data")).toBe(70);
});

test("a notched bar closes, whatever its width", () => {
  for (const width of [0.5, 2, 7, 8, 30, 300]) {
    const path = notched(10, width, 20);
    expect(path.startsWith("M10 0H")).toBe(true);
    expect(path.endsWith("H10Z")).toBe(true);
    expect(path.includes("l-3")).toBe(width >= 8);
  }
});
