// The chosen period, read from the address bar.

export const PERIODS = {
  "15m": 15 * 60_000,
  "1h": 3_600_000,
  "24h": 24 * 3_600_000,
  "7d": 7 * 24 * 3_600_000,
  "30d": 30 * 24 * 3_600_000,
} as const;

export type Length = keyof typeof PERIODS;

/** A length that ends now and moves on, or two fixed instants. */
export type Chosen =
  | { readonly kind: "last"; readonly length: Length }
  | { readonly kind: "fixed"; readonly fromMs: number; readonly toMs: number };

export const FIRST: Length = "15m";

export function chosenPeriod(query: URLSearchParams, first: Length = FIRST): Chosen {
  const from = Date.parse(query.get("from") ?? "");
  const to = Date.parse(query.get("to") ?? "");
  if (from < to) return { kind: "fixed", fromMs: from, toMs: to };
  const length = query.get("period");
  return { kind: "last", length: length !== null && Object.hasOwn(PERIODS, length) ? (length as Length) : first };
}

/** Start and end in milliseconds, by the centre's clock. */
export function bounds(chosen: Chosen, nowMs: number): readonly [number, number] {
  if (chosen.kind === "fixed") return [chosen.fromMs, chosen.toMs];
  const now = Math.round(nowMs);
  return [now - PERIODS[chosen.length], now];
}

/** What the address bar holds for it. */
export function periodQuery(chosen: Chosen): Readonly<Record<string, string>> {
  if (chosen.kind === "last") return { period: chosen.length };
  return { from: short(chosen.fromMs), to: short(chosen.toMs) };
}

/** RFC 3339 in UTC, without a fraction where there is none. */
export function short(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

/** How often a graph of this length is worth asking for again: about once for each point that moves. */
export function refreshMs(fromMs: number, toMs: number): number {
  return Math.min(60_000, Math.max(2_000, (toMs - fromMs) / 500));
}
