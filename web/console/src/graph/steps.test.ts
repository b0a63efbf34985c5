import { expect, test } from "vitest";
import { growths, lastBefore, stepLine } from "./steps";

const same = (value: number): number => value;
const points = [
  { at_ms: 0, size: 5 },
  { at_ms: 10, size: 9 },
  { at_ms: 20, size: 30 },
];

test("a size stands until the next one, and the last one until the end", () => {
  expect(stepLine(points, same, same, 50)).toBe("M0 5H10V9H20V30H50");
  expect(stepLine([], same, same, 50)).toBe("M0 0");
});

test("only growth is kept of a series", () => {
  const still = [{ at_ms: 5, size: 5 }, { at_ms: 12, size: 9 }];
  expect(growths([points[0]!, still[0]!, points[1]!, still[1]!, points[2]!])).toEqual(points);
  expect(growths([])).toEqual([]);
});

test("the size at an instant is the last one before it", () => {
  expect(lastBefore(points, -1)).toBeUndefined();
  expect(lastBefore(points, 10)?.size).toBe(9);
  expect(lastBefore(points, 19)?.size).toBe(9);
  expect(lastBefore(points, 99)?.size).toBe(30);
});
