// A series as paths: data joined where it is continuous, and a gap where there is none.
import type { Mark, Period, Point } from "@angbu/shared/client";

/** Runs of points that may be joined. */
export function runs(points: readonly Point[], gapMs: number): readonly (readonly Point[])[] {
  const found: Point[][] = [];
  let last: Point | undefined;
  for (const point of points) {
    if (last !== undefined && point.at_ms - last.at_ms <= gapMs) found[found.length - 1]!.push(point);
    else found.push([point]);
    last = point;
  }
  return found;
}

type Place = (value: number) => number;

/** The outline from the upper values forward and the lower ones back; one point alone becomes a short stroke. */
export function envelope(
  run: readonly Point[],
  x: Place,
  y: Place,
  upper: (point: Point) => number,
  lower: (point: Point) => number,
): string {
  const at = (point: Point, value: number): string => `${digit(x(point.at_ms))} ${digit(y(value))}`;
  const [only] = run;
  if (only !== undefined && run.length === 1) {
    return `M${at(only, upper(only))}L${at(only, lower(only))}h0.01`;
  }
  const there = run.map((point) => at(point, upper(point)));
  const back = run.map((point) => at(point, lower(point))).reverse();
  // Where both edges are the same the outline is one line, and drawing it twice would only thicken it.
  const flat = run.every((point) => upper(point) === lower(point));
  return flat ? `M${there.join("L")}` : `M${there.join("L")}L${back.join("L")}Z`;
}

/** The points whose values leave the scale, thinned to one for every few pixels. */
export function beyond(points: readonly Point[], limitNs: number, x: Place): readonly { x: number; above: boolean }[] {
  const found: { x: number; above: boolean }[] = [];
  for (const point of points) {
    const above = point.offset_max_ns > limitNs;
    if (!above && point.offset_min_ns >= -limitNs) continue;
    const here = x(point.at_ms);
    const last = found[found.length - 1];
    if (last === undefined || last.above !== above || here - last.x >= 7) found.push({ x: here, above });
  }
  return found;
}

/** A bar with notches along its lower edge: "outside" without its colour. */
export function notched(x: number, width: number, height: number): string {
  const notch = 3;
  let path = `M${digit(x)} 0H${digit(x + width)}V${height}`;
  for (let at = x + width; at - x > 2 * notch + 1; at -= 4 * notch) {
    path += `H${digit(at - notch / 2)}l${-notch} ${-height / 2}l${-notch} ${height / 2}`;
    if (at - 4 * notch - x <= 2 * notch + 1) break;
  }
  return `${path}H${digit(x)}Z`;
}

/** Every instant at which the cursor stops, in order. */
export function stops(points: readonly Point[], marks: readonly Mark[]): readonly number[] {
  return [...new Set([...points.map((point) => point.at_ms), ...marks.map((mark) => mark.at_ms)])].sort((a, b) => a - b);
}

/** The point nearest to an instant, if it is near enough to say anything about it. */
export function nearest(points: readonly Point[], atMs: number, withinMs: number): Point | undefined {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.at_ms < atMs) low = middle + 1;
    else high = middle;
  }
  const candidates = [points[low - 1], points[low]].filter((point) => point !== undefined);
  candidates.sort((a, b) => Math.abs(a.at_ms - atMs) - Math.abs(b.at_ms - atMs));
  const [best] = candidates;
  return best !== undefined && Math.abs(best.at_ms - atMs) <= withinMs ? best : undefined;
}

/** The period that holds an instant; the end of the last one counts as its own. */
export function periodAt(periods: readonly Period[], atMs: number): Period | undefined {
  return (
    periods.find((period) => period.from_ms <= atMs && atMs < period.to_ms) ??
    periods.find((period) => period.to_ms === atMs)
  );
}

function digit(value: number): string {
  return String(Math.round(value * 10) / 10);
}
