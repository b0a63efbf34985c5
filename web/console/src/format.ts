// Figures and instants as text: to the digit that the error bound supports, and no further.

/** A no-break space, which keeps a figure and its unit on one line. */
export const NBSP = "\u00a0";
const MINUS = "\u2212";

const NS_PER_S = 1e9;

/** An instant as the API writes it: whole milliseconds since 1970, and the nanoseconds after them (0 to 999,999). */
export interface Instant {
  readonly ms: number;
  readonly ns: number;
}

/** Reads RFC 3339 with up to nine digits after the second. */
export function parseInstant(text: string): Instant {
  const match = /^(.+?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return { ms: Date.parse(text), ns: 0 };
  const fraction = (match[2] ?? "").padEnd(9, "0");
  return {
    ms: Date.parse(`${match[1]}${match[3]}`) + Number(fraction.slice(0, 3)),
    ns: Number(fraction.slice(3)),
  };
}

/** How many digits after the second an instant may show when it is known to within `boundNs`; at most nine. */
export function digitsFor(boundNs: number): number {
  if (!(boundNs > 0)) return 9;
  // The small addend keeps a bound of exactly 10 ms at two digits in spite of binary fractions.
  return Math.min(9, Math.max(0, Math.floor(-Math.log10(boundNs / NS_PER_S) + 1e-9)));
}

export type Zone = "reader" | "utc";

interface Fields {
  readonly date: string;
  readonly clock: string;
}

function fields(at: Instant, zone: Zone, digits: number): Fields {
  const when = new Date(at.ms);
  const read = (local: number, utc: number): number => (zone === "reader" ? local : utc);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = [
    String(read(when.getFullYear(), when.getUTCFullYear())).padStart(4, "0"),
    two(read(when.getMonth(), when.getUTCMonth()) + 1),
    two(read(when.getDate(), when.getUTCDate())),
  ].join("-");
  const clock = [
    two(read(when.getHours(), when.getUTCHours())),
    two(read(when.getMinutes(), when.getUTCMinutes())),
    two(read(when.getSeconds(), when.getUTCSeconds())),
  ].join(":");
  const fraction = String(when.getUTCMilliseconds()).padStart(3, "0") + String(at.ns).padStart(6, "0");
  // Cut, not rounded: a clock's digits are what has passed.
  return { date, clock: digits > 0 ? `${clock}.${fraction.slice(0, digits)}` : clock };
}

/** "2026-03-01 09:30:05.1". */
export function dateAndClock(at: Instant, zone: Zone, digits: number): string {
  const { date, clock } = fields(at, zone, digits);
  return `${date} ${clock}`;
}

/** "09:30:05.1". */
export function clock(at: Instant, zone: Zone, digits: number): string {
  return fields(at, zone, digits).clock;
}

/** "2026-03-01". */
export function date(at: Instant, zone: Zone): string {
  return fields(at, zone, 0).date;
}

/** The reader's zone at that instant as an offset: "UTC+9", "UTC-3:30", or "UTC". */
export function zoneName(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes > 0 ? "+" : MINUS}${hours}${rest === 0 ? "" : `:${String(rest).padStart(2, "0")}`}`;
}

const UNITS = [
  ["s", 1e9],
  ["ms", 1e6],
  ["µs", 1e3],
  ["ns", 1],
] as const;

/** A length of time with at most three significant digits: "50 ms", "1.25 s", "3,600 s". */
export function duration(ns: number): string {
  const size = Math.abs(ns);
  const [name, unit] = UNITS.find(([, each]) => size >= each) ?? UNITS[UNITS.length - 1]!;
  const value = size / unit;
  const text =
    value >= 100
      ? Math.round(value).toLocaleString("en")
      : String(Number(value.toPrecision(3)));
  return `${ns < 0 ? MINUS : ""}${text}${NBSP}${name}`;
}

/** A figure and its bound in one unit, the figure to the digit that the bound supports: "+0.12 ± 0.38 ms". */
export interface Measured {
  readonly value: string;
  readonly bound: string;
  readonly unit: string;
}

/** The bound is rounded up to two significant digits, the value to the same digit. */
export function measured(valueNs: number, boundNs: number): Measured {
  const bound = Math.max(boundNs, 1);
  // The unit follows the bound, not the value, so that a live figure does not jump between units.
  const [name, unit] =
    bound >= 1e9 || Math.abs(valueNs) >= 1e10 ? UNITS[0] : bound >= 1e4 ? UNITS[1] : bound >= 10 ? UNITS[2] : UNITS[3];
  const exponent = Math.floor(Math.log10(bound / unit) + 1e-9) - 1;
  const decimals = Math.max(0, -exponent);
  const step = 10 ** exponent;
  const boundText = (Math.ceil(bound / unit / step - 1e-6) * step).toFixed(decimals);
  const rounded = Math.round(valueNs / unit / step) * step;
  const size = Math.abs(rounded).toFixed(decimals);
  const sign = Number(size) === 0 ? "" : rounded < 0 ? MINUS : "+";
  return { value: `${sign}${grouped(size)}`, bound: grouped(boundText), unit: name };
}

/** `measured` in one line. */
export function measuredText(valueNs: number, boundNs: number): string {
  const { value, bound, unit } = measured(valueNs, boundNs);
  return `${value}${NBSP}±${NBSP}${bound}${NBSP}${unit}`;
}

/** A delay is never negative in truth; what is measured may be by less than its bound, and is shown as it is. */
export function delayText(delayNs: number): string {
  if (delayNs >= 1e9) return duration(delayNs);
  const ms = delayNs / 1e6;
  const decimals = Math.abs(ms) >= 100 ? 0 : Math.abs(ms) >= 10 ? 1 : Math.abs(ms) >= 1 ? 2 : 3;
  return `${ms.toFixed(decimals).replace("-", MINUS)}${NBSP}ms`;
}

/** Parts per million, for a rate that the API gives in parts per billion. */
export function rateText(ppb: number): string {
  const ppm = ppb / 1000;
  const sign = ppb > 0 ? "+" : "";
  return `${sign}${ppm.toFixed(Math.abs(ppm) >= 10 ? 1 : 2).replace("-", MINUS)}${NBSP}ppm`;
}

/**
 * A share in tenths of a per cent. It says 100 % only of the whole and 0 % only of nothing:
 * a second outside the tolerance must not vanish by rounding.
 */
export function percent(part: number, whole: number): string {
  if (!(whole > 0) || part <= 0) return `0${NBSP}%`;
  if (part >= whole) return `100${NBSP}%`;
  const tenths = Math.round((part / whole) * 1000);
  return `${(Math.min(999, Math.max(1, tenths)) / 10).toFixed(1)}${NBSP}%`;
}

const SPANS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

/** A span in the reader's language, in its two largest units: "3 days, 4 hr". */
export function span(ms: number, language: string): string {
  let left = Math.max(0, Math.round(ms / 1000));
  const parts: string[] = [];
  for (const [unit, seconds] of SPANS) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    if (count > 0 || (unit === "second" && parts.length === 0)) parts.push(unitText(count, unit, language));
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** How long ago, in the reader's language and one unit: "4 seconds ago". */
export function ago(ms: number, language: string): string {
  const seconds = Math.max(0, ms / 1000);
  const [unit, each] = SPANS.find(([, size]) => seconds >= size) ?? SPANS[3];
  return new Intl.RelativeTimeFormat(language, { numeric: "always" }).format(-Math.floor(seconds / each), unit);
}

/** A count in the reader's language: "1,204". */
export function count(value: number, language: string): string {
  return new Intl.NumberFormat(language).format(value);
}

/** The centre's own words, which begin small and end open, as a sentence. */
export function sentence(text: string): string {
  const [first = "", ...rest] = text.trim();
  return `${first.toUpperCase()}${rest.join("")}${/[.!?。]$/.test(text.trim()) ? "" : "."}`;
}

function unitText(value: number, unit: string, language: string): string {
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(value).replace(" ", NBSP);
}

function grouped(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}
