// Where an axis has its ticks. Pure, so that the odd zones and scales are tested without a page.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
  DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];

export interface TimeTicks {
  readonly stepMs: number;
  readonly atMs: readonly number[];
}

/** How far the reader's zone is ahead of UTC at an instant. */
export function zoneAheadMs(atMs: number): number {
  return -new Date(atMs).getTimezoneOffset() * MINUTE;
}

/** At most `most` ticks, on round times of the reader's zone, also across a change of its offset. */
export function timeTicks(fromMs: number, toMs: number, most: number, ahead: (atMs: number) => number): TimeTicks {
  const stepMs = STEPS.find((step) => (toMs - fromMs) / step <= most) ?? STEPS[STEPS.length - 1]!;
  const atMs: number[] = [];
  const first = Math.ceil((fromMs + ahead(fromMs)) / stepMs);
  for (let index = first; atMs.length <= most + 1; index += 1) {
    const local = index * stepMs;
    const guess = local - ahead(fromMs);
    const at = local - ahead(guess);
    if (at > toMs) break;
    if (at >= fromMs && at !== atMs[atMs.length - 1]) atMs.push(at);
  }
  return { stepMs, atMs };
}

/** Round values (1, 2 or 5 times a power of ten apart) from `low` to `high`, about `about` of them. */
export function valueTicks(low: number, high: number, about: number): readonly number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const ticks: number[] = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) {
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return ticks;
}

export interface AxisUnit {
  readonly name: string;
  readonly ns: number;
}

/** The unit in which an axis that reaches `mostNs` is labelled. */
export function axisUnit(mostNs: number): AxisUnit {
  if (mostNs >= 1e9) return { name: "s", ns: 1e9 };
  if (mostNs >= 1e6) return { name: "ms", ns: 1e6 };
  return mostNs >= 1e3 ? { name: "µs", ns: 1e3 } : { name: "ns", ns: 1 };
}

/** The next value that halves into round labels: 1, 2, 4, 6 or 10 times a power of ten. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10) * power;
}

/** A straight map from one range to another. */
export function scale(from: readonly [number, number], to: readonly [number, number]): (value: number) => number {
  const factor = from[1] === from[0] ? 0 : (to[1] - to[0]) / (from[1] - from[0]);
  return (value) => to[0] + (value - from[0]) * factor;
}
