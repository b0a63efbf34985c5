// Which month or days a page shows, read from the address bar; and months in words.

export type Asked =
  | { readonly kind: "month"; readonly month: string | undefined }
  | { readonly kind: "days"; readonly from: string; readonly to: string };

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;

export function askedPeriod(query: URLSearchParams): Asked {
  const [from, to] = [query.get("from"), query.get("to")];
  if (from !== null && to !== null) return { kind: "days", from, to };
  const month = query.get("month");
  return { kind: "month", month: month !== null && MONTH.test(month) ? month : undefined };
}

/** What the API is asked with; the present month is the customer's own, so without one nothing is sent. */
export function askedQuery(asked: Asked): { month?: string; from?: string; to?: string } {
  if (asked.kind === "days") return { from: asked.from, to: asked.to };
  return asked.month === undefined ? {} : { month: asked.month };
}

/** The month this many months away: "2026-01", -1 → "2025-12". */
export function monthFrom(month: string, away: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const all = year * 12 + number - 1 + away;
  return `${String(Math.floor(all / 12)).padStart(4, "0")}-${String((((all % 12) + 12) % 12) + 1).padStart(2, "0")}`;
}

/** "October 2026", "2026년 10월", "2026年10月". */
export function monthName(month: string, language: string): string {
  const first = new Date(`${month}-01T00:00:00Z`);
  return new Intl.DateTimeFormat(language, { year: "numeric", month: "long", timeZone: "UTC" }).format(first);
}

/** A local instant of the API, "2026-10-01T00:00:00+02:00", without its seconds and without a midnight. */
export function localText(local: string): string {
  const [day = "", clock = ""] = local.split("T");
  const time = clock.slice(0, 8);
  return time === "00:00:00" ? day : `${day} ${time.endsWith(":00") ? time.slice(0, 5) : time}`;
}
