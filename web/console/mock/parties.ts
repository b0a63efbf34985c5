// What third parties are shown of the made-up site: periods, trends, chains, links and reports. Times in Europe/Berlin, so that a
// month can be an hour longer.
import type {
  AgentChain, AgentPeriods, AskedPeriod, CustomerPeriods, KeptReport, Share, Shared, Spread, Traceability, Trend, Verdict,
} from "@angbu/shared/client";
import type { Answer } from "./accounts";
import { agents, customers, graph } from "./site";

const MS = 1e6;
const HOUR = 3_600_000;
const ZONE = "Europe/Berlin";

/** Minutes that Berlin is ahead of UTC: summer time from the last Sunday of March to that of October, at 01:00 UTC. */
function ahead(atMs: number): number {
  const year = new Date(atMs).getUTCFullYear();
  const last = (month: number): number => {
    const end = new Date(Date.UTC(year, month + 1, 0));
    return Date.UTC(year, month, end.getUTCDate() - end.getUTCDay(), 1);
  };
  return atMs >= last(2) && atMs < last(9) ? 120 : 60;
}

function dayMs(date: string): number {
  const utc = Date.parse(`${date}T00:00:00Z`);
  return utc - ahead(utc - 60 * 60_000) * 60_000;
}

function local(atMs: number): string {
  const minutes = ahead(atMs);
  return `${new Date(atMs + minutes * 60_000).toISOString().slice(0, 19)}+0${minutes / 60}:00`;
}

function asked(query: URLSearchParams, nowMs: number): AskedPeriod {
  const month = query.get("from") === null ? (query.get("month") ?? new Date(nowMs).toISOString().slice(0, 7)) : null;
  const next = (of: string): string => new Date(Date.UTC(Number(of.slice(0, 4)), Number(of.slice(5, 7)), 1)).toISOString().slice(0, 10);
  const from = month === null ? dayMs(query.get("from") ?? "") : dayMs(`${month}-01`);
  const to = month === null ? dayMs(query.get("to") ?? "") : dayMs(next(month));
  return {
    month,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    until: new Date(Math.min(to, nowMs)).toISOString(),
    zone: ZONE,
    from_local: local(from),
    to_local: local(to),
    length_ms: to - from,
  };
}

function shares(within: number, outside: number, notProven: number): AgentPeriods["totals"] {
  const whole = Math.max(1, within + outside + notProven);
  return {
    within_ms: within,
    outside_ms: outside,
    not_proven_ms: notProven,
    within_percent: (100 * within) / whole,
    outside_percent: (100 * outside) / whole,
    not_proven_percent: (100 * notProven) / whole,
  };
}

function periods(customer: string, period: AskedPeriod, nowMs: number): CustomerPeriods | undefined {
  const of = customers(nowMs).find((each) => each.name === customer);
  if (of === undefined) return undefined;
  const [from, until] = [Date.parse(period.from), Date.parse(period.until)];
  const told: AgentPeriods[] = agents(customer, nowMs).map((agent) => {
    const shown = graph(agent.id, from, until, 700);
    const found = shown?.periods ?? [];
    const sum = new Map<string, { verdict: Verdict; ms: number }>();
    for (const each of found) {
      const before = sum.get(each.why)?.ms ?? 0;
      sum.set(each.why, { verdict: each.verdict, ms: before + each.to_ms - each.from_ms });
    }
    const totals = shown?.totals ?? { within_ms: 0, outside_ms: 0, not_proven_ms: until - from };
    return {
      id: agent.id,
      name: agent.name,
      exchanges: Math.round((until - from) / 16_000),
      totals: shares(totals.within_ms, totals.outside_ms, totals.not_proven_ms),
      reasons: [...sum].map(([why, each]) => ({ why, ...each })).sort((a, b) => b.ms - a.ms),
      periods: found,
      periods_left_out: 0,
    };
  });
  const add = (name: "within_ms" | "outside_ms" | "not_proven_ms"): number => told.reduce((all, each) => all + each.totals[name], 0);
  return {
    customer,
    period,
    tolerances: [{ since: new Date(from - 100 * HOUR).toISOString(), tolerance_ns: of.tolerance_ns }],
    totals: shares(add("within_ms"), add("outside_ms"), add("not_proven_ms")),
    agents: told,
  };
}

function bell(median: number, width: number, count: number, skew: number): Spread {
  const bar = width / 10;
  const from = Math.floor((median - width * 1.6) / bar) * bar;
  const bars = Array.from({ length: 36 }, (_, index) => {
    const away = (from + (index + 0.5) * bar - median) / width;
    return Math.round(count * 0.04 * Math.exp(-2 * away * away) * (away > 0 ? 1 + skew * away : 1));
  });
  return {
    least_ns: median - 2.1 * width, p5_ns: median - 0.9 * width, median_ns: median, p95_ns: median + 1.1 * width, p99_ns: median + 1.7 * width,
    greatest_ns: median + 4 * width, bars_from_ns: from, bar_ns: bar, bars, below: 12, above: 31,
  };
}

function trend(id: string, query: URLSearchParams, nowMs: number): Trend | undefined {
  const agent = agents(undefined, nowMs).find((each) => each.id === id);
  if (agent === undefined) return undefined;
  const period = asked(query, nowMs);
  return {
    agent: id,
    name: agent.name,
    customer: agent.customer,
    period,
    exchanges: Math.round((Date.parse(period.until) - Date.parse(period.from)) / 16_000),
    runs: 2,
    drift: { ppm: -0.0321, low_ppm: -0.0412, high_ppm: -0.0228 },
    tau0_ns: 16e9,
    allan: Array.from({ length: 14 }, (_, index) => {
      const tau = 16 * 2 ** index;
      const deviation = Math.hypot(3e-5 / tau, 2.2e-8 / Math.sqrt(tau / 1e3), 4e-11 * Math.sqrt(tau));
      return { tau_ns: tau * 1e9, deviation, error: deviation / Math.sqrt(160_000 / 2 ** index), terms: 160_000 - 2 ** (index + 1) };
    }),
    offset: bell(0.4 * MS, 6 * MS, 160_000, 0),
    delay: bell(1.6 * MS, 0.5 * MS, 160_000, 0.8),
  };
}

function chain(id: string, name: string, period: AskedPeriod): AgentChain {
  const whole = Date.parse(period.until) - Date.parse(period.from);
  const broken = id === "agt_4" ? 9.6 * HOUR + 2 * 60_000 : 0;
  const from = Date.parse(period.until) - 5 * 24 * HOUR;
  const link = (place: string, typical: number, greatest: number, broken_ms = 0): AgentChain["links"][number] => ({
    place, typical_ns: typical * MS, greatest_ns: greatest * MS, broken_ms,
  });
  return {
    id,
    name,
    links: [link("head", 0, 0), link("centre", 1.02, 1.02), link("exchange", 1.64, 7.9, broken), link("between", 1.6, 3.2)],
    typical_ns: 4.27 * MS,
    greatest_ns: 11.3 * MS,
    proven_ms: 0,
    declared_ms: whole - broken,
    broken_ms: broken,
    proven_percent: 0,
    declared_percent: (100 * (whole - broken)) / whole,
    gaps: broken === 0 ? [] : [
      { from_ms: from, to_ms: from + 9.6 * HOUR, place: "exchange", why: "silence" },
      { from_ms: from + 20 * HOUR, to_ms: from + 20 * HOUR + 120_000, place: "exchange", why: "alarm" },
    ],
    gaps_left_out: 0,
    rts25: [
      { limit_ns: 100_000, within_ms: 0, outside_ms: 0, within_percent: 0 },
      { limit_ns: 1 * MS, within_ms: 0, outside_ms: whole * 0.4, within_percent: 0 },
      { limit_ns: 1000 * MS, within_ms: whole - broken, outside_ms: 0, within_percent: 98.6 },
    ],
  };
}

function traceability(customer: string, period: AskedPeriod, nowMs: number): Traceability {
  const since = new Date(Date.parse(period.from) - 40 * HOUR).toISOString();
  return {
    customer,
    period,
    heads: [{ since, kind: "reference-clock", name: "PPS", bound_ns: 87, calibrated_by: ["KRISS, 2026-0815"], entries: [3, 41] }],
    agents: agents(customer, nowMs).map((agent) => chain(agent.id, agent.name, period)),
  };
}

const REPORT: KeptReport = {
  id: "rep_1", month: "2026-02", from: "2026-01-31T23:00:00Z", to: "2026-02-28T23:00:00Z", zone: ZONE, language: "en",
  made_at: "2026-03-01T00:02:10Z", size: 2_412_331, why: null, file_name: "angbu-time-hanbit-20260131T230000Z-20260228T230000Z.html",
};

export class Parties {
  #shares: Share[] = [
    {
      id: "shr_1", holder: "Kim & Lee, auditors", from: "2026-01-31T23:00:00Z", to: "2026-02-28T23:00:00Z", zone: ZONE,
      from_local: "2026-02-01T00:00:00+01:00", to_local: "2026-03-01T00:00:00+01:00",
      created_at: "2026-03-02T09:00:00Z", expires_at: new Date(Date.now() + 20 * 24 * HOUR).toISOString(), revoked: false, good: true, views: 14,
      last_view_at: new Date(Date.now() - 3 * HOUR).toISOString(),
    },
    {
      id: "shr_2", holder: "supervisory authority", from: "2025-12-31T23:00:00Z", to: "2026-01-31T23:00:00Z", zone: ZONE,
      from_local: "2026-01-01T00:00:00+01:00", to_local: "2026-02-01T00:00:00+01:00",
      created_at: "2026-02-02T09:00:00Z", expires_at: "2026-03-04T09:00:00Z", revoked: true, good: false, views: 3, last_view_at: "2026-02-11T10:00:00Z",
    },
  ];

  /** What anybody may ask; `undefined` for everything else. */
  stranger(call: string, given: Record<string, unknown>, nowMs: number): Answer | undefined {
    if (call !== "POST /shared" && call !== "POST /shared/report") return undefined;
    if (given.token === "gone") return { status: 404, problem: "unknown", title: "Not found" };
    if (call === "POST /shared/report") return { status: 200, body: "<!doctype html><title>Made up</title>" };
    const month = new Date(nowMs - 20 * 24 * HOUR).toISOString().slice(0, 7);
    const shown = periods("hanbit", asked(new URLSearchParams({ month }), nowMs), nowMs);
    if (shown === undefined) return undefined;
    const shared: Shared = {
      periods: shown, expires_at: this.#shares[0]!.expires_at, report: { ...REPORT, month: null }, log_keys: ["mock+1a2b3c4d+AbCdEf0123456789abcdefghijklmnopqrstuvwxyzAB"],
    };
    return { status: 200, body: shared };
  }

  answer(call: string, query: URLSearchParams, given: Record<string, unknown>, nowMs: number): Answer | undefined {
    const found = (body: unknown): Answer =>
      body === undefined ? { status: 404, problem: "unknown", title: "Not found" } : { status: 200, body };
    const [, customer = "", what] = /^GET \/time\/customers\/([^/]+)\/(\w+)$/.exec(call) ?? [];
    const name = decodeURIComponent(customer);
    if (what === "periods") return found(periods(name, asked(query, nowMs), nowMs));
    if (what === "traceability") return found(traceability(name, asked(query, nowMs), nowMs));
    if (what === "reports") return found({ reports: [REPORT] });
    const [, agent] = /^GET \/time\/agents\/([^/]+)\/trend$/.exec(call) ?? [];
    if (agent !== undefined) return found(trend(agent, query, nowMs));
    if (call === "GET /time/shares") return found({ shares: this.#shares });
    if (call === "POST /time/shares") {
      const now = new Date(nowMs).toISOString();
      const share: Share = {
        ...this.#shares[0]!, id: `shr_${this.#shares.length + 1}`, holder: String(given.holder), created_at: now, views: 0, last_view_at: null,
      };
      this.#shares = [share, ...this.#shares];
      return { status: 201, body: { share, path: "/share/q3kd7v2y6b5xw4za1n8mh0rtf9jcsepguloi2q3kd7v2y6b5xw4z" } };
    }
    const [, revoked] = /^DELETE \/time\/shares\/(\w+)$/.exec(call) ?? [];
    if (revoked !== undefined) {
      this.#shares = this.#shares.map((each) => (each.id === revoked ? { ...each, revoked: true, good: false } : each));
      return { status: 204, body: undefined };
    }
    if (/^POST \/time\/customers\/[^/]+\/reports$/.test(call)) return found(REPORT);
    if (/^GET \/time\/reports\/\w+$/.test(call)) return found("<!doctype html><title>Made up</title>");
    return undefined;
  }
}
