import type { GrowthPoint } from "@angbu/shared/client";

/** A line that keeps each size until the next one stands, and the last one until `right`. */
export function stepLine(points: readonly GrowthPoint[], x: (atMs: number) => number, y: (size: number) => number, right: number): string {
  const [first] = points;
  if (first === undefined) return "M0 0";
  const rest = points.slice(1).map((point) => `H${tenth(x(point.at_ms))}V${tenth(y(point.size))}`);
  return `M${tenth(x(first.at_ms))} ${tenth(y(first.size))}${rest.join("")}H${tenth(right)}`;
}

/** Where the size began, and where it grew: what stands between says nothing. */
export function growths(points: readonly GrowthPoint[]): GrowthPoint[] {
  return points.filter((point, at) => at === 0 || point.size > points[at - 1]!.size);
}

/** The size that stood at an instant. */
export function lastBefore(points: readonly GrowthPoint[], atMs: number): GrowthPoint | undefined {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.at_ms <= atMs) low = middle + 1;
    else high = middle;
  }
  return points[low - 1];
}

function tenth(value: number): string {
  return String(Math.round(value * 10) / 10);
}
