// A made-up site for looking at the console without a centre: development only, and nothing of it is built in.
// Everything follows from the instant asked for, so that two looks at the same instant show the same.
import type { Agent, Agents, Centre, Customer, Graph, Head, Mark, Period, Point, Verdict } from "@angbu/shared/client";

const MS = 1e6;
const MINUTE = 60_000;
export const begun = Date.now();

interface Server {
  readonly id: string;
  readonly name: string;
  readonly customer: string;
  readonly pollMs: number;
  readonly enrolledAgoMs: number;
  /** Offset and bound in nanoseconds at an instant. */
  readonly offset: (atMs: number) => number;
  readonly boundNs: number;
  readonly delayNs: number;
  /** Stretches without exchanges, in milliseconds before the mock began. */
  readonly silent: readonly (readonly [number, number])[];
  readonly marks: readonly (Omit<Mark, "at_ms"> & { readonly agoMs: number })[];
}

/** A number from 0 to 1 that depends on nothing but its arguments. */
function noise(at: number, salt: number): number {
  const value = Math.sin(at * 12.9898 + salt * 78.233) * 43758.5453;
  return value - Math.floor(value);
}

function wave(salt: number, sizeNs: number): (atMs: number) => number {
  return (atMs) => {
    const minutes = atMs / MINUTE;
    const slow = Math.sin(minutes / 7 + salt) * 0.5 + Math.sin(minutes / 61 + salt * 2) * 0.4;
    return sizeNs * (slow + (noise(Math.floor(atMs / 1000), salt) - 0.5) * 0.5);
  };
}

const quiet = wave(1, 9 * MS);
const far = wave(3, 6 * MS);

const SERVERS: readonly Server[] = [
  {
    id: "agt_1", name: "this-machine", customer: "demo", pollMs: 2_000, enrolledAgoMs: 11 * MINUTE,
    offset: wave(5, 0.04 * MS), boundNs: 0.19 * MS, delayNs: 0.045 * MS,
    silent: [], marks: [{ agoMs: 11 * MINUTE, kind: "start", entry: "01KAG0000000000000000START" }],
  },
  {
    id: "agt_2", name: "db-1", customer: "hanbit", pollMs: 16_000, enrolledAgoMs: 40 * 1440 * MINUTE,
    offset: quiet, boundNs: 3.4 * MS, delayNs: 1.6 * MS, silent: [], marks: [],
  },
  {
    id: "agt_3", name: "db-2", customer: "hanbit", pollMs: 16_000, enrolledAgoMs: 40 * 1440 * MINUTE,
    offset: (at) => far(at) + Math.max(0, (at - begun + 6 * MINUTE) / MINUTE) * 14 * MS,
    boundNs: 4.1 * MS, delayNs: 1.9 * MS, silent: [], marks: [],
  },
  {
    id: "agt_4", name: "db-3", customer: "hanbit", pollMs: 16_000, enrolledAgoMs: 12 * 1440 * MINUTE,
    offset: (at) => {
      const ago = begun - at;
      if (ago < 9 * MINUTE && ago > 6 * MINUTE) return 190 * MS;
      return wave(9, 12 * MS)(at);
    },
    boundNs: 2.2 * MS, delayNs: 2.4 * MS,
    silent: [[13 * MINUTE, 11 * MINUTE], [310 * MINUTE, 250 * MINUTE], [5 * 1440 * MINUTE, 4.6 * 1440 * MINUTE]],
    marks: [
      { agoMs: 250 * MINUTE, kind: "start", entry: "01KAG0000000000000000START" },
      { agoMs: 13 * MINUTE, kind: "stop", entry: "01KAG00000000000000000STOP" },
      { agoMs: 11 * MINUTE, kind: "start", entry: "01KAG0000000000000000START" },
      { agoMs: 9 * MINUTE, kind: "alarm", difference_ns: 188_400_000, entry: "01KAG0000000000000000ALARM" },
      { agoMs: 4 * MINUTE, kind: "dropped", entry: "01KAG00000000000000DROPPED" },
    ],
  },
  {
    id: "agt_5", name: "web-1", customer: "hanbit", pollMs: 16_000, enrolledAgoMs: 3 * 1440 * MINUTE,
    offset: wave(7, 4 * MS), boundNs: 2.2 * MS, delayNs: 1.1 * MS,
    silent: [[7 * MINUTE, -1e12]], marks: [{ agoMs: 7 * MINUTE, kind: "stop", entry: "01KAG00000000000000000STOP" }],
  },
];

const TOLERANCES: Readonly<Record<string, number>> = { demo: 50 * MS, hanbit: 50 * MS, "seoul-lab": 1 * MS };

const tolerance = (customer: string): number => TOLERANCES[customer] ?? 50 * MS;

function silentAt(server: Server, atMs: number): boolean {
  const ago = begun - atMs;
  return ago > server.enrolledAgoMs || server.silent.some(([from, to]) => ago <= from && ago > to);
}

function verdictAt(server: Server, atMs: number): { verdict: Verdict; why: string } {
  if (begun - atMs > server.enrolledAgoMs) return { verdict: "not-proven", why: "no-data" };
  if (silentAt(server, atMs)) return { verdict: "not-proven", why: "stopped" };
  const offset = Math.abs(server.offset(atMs));
  if (offset + server.boundNs <= tolerance(server.customer)) return { verdict: "within", why: "within" };
  if (offset - server.boundNs > tolerance(server.customer)) return { verdict: "outside", why: "outside" };
  return { verdict: "not-proven", why: "straddles" };
}

export function agents(customer: string | undefined, nowMs: number): Agent[] {
  return SERVERS.filter((server) => customer === undefined || server.customer === customer).map((server) => {
    let seen = Math.floor(nowMs / server.pollMs) * server.pollMs;
    while (silentAt(server, seen)) seen -= server.pollMs;
    const { verdict, why } = verdictAt(server, nowMs);
    return {
      id: server.id,
      name: server.name,
      customer: server.customer,
      tolerance_ns: tolerance(server.customer),
      enrolled_at: new Date(begun - server.enrolledAgoMs).toISOString(),
      last_seen: new Date(seen).toISOString(),
      poll_ns: server.pollMs * MS,
      verdict,
      why,
      steady: verdict !== "not-proven",
      in_sync: verdict === "within",
      offset_ns: Math.round(server.offset(seen)),
      bound_ns: server.boundNs,
      delay_ns: Math.round(server.delayNs * (0.9 + 0.2 * noise(seen, 2))),
      rate_ppb: Math.round((noise(seen, 4) - 0.5) * 400),
      reference: "declared",
    };
  });
}

/** A page of them, as a centre answers. */
export function agentsPage(all: readonly Agent[], query: URLSearchParams): Agents {
  const name = query.get("name")?.toLowerCase() ?? "";
  const found = all.filter((agent) => agent.name.includes(name) || agent.customer.includes(name));
  const of = (verdict: Verdict): number => found.filter((agent) => agent.verdict === verdict).length;
  const wanted = found.filter((agent) => query.get("verdict") === null || agent.verdict === query.get("verdict"));
  const rank = { outside: 0, "not-proven": 1, within: 2 } as const;
  if (query.get("order") === "trouble") wanted.sort((a, b) => rank[a.verdict] - rank[b.verdict]);
  const offset = Number(query.get("offset") ?? 0);
  const end = offset + Number(query.get("limit") ?? wanted.length);
  return {
    agents: wanted.slice(offset, end),
    total: wanted.length,
    within: of("within"),
    outside: of("outside"),
    not_proven: of("not-proven"),
    next: end < wanted.length ? end : null,
  };
}

export function customers(nowMs: number): Customer[] {
  return Object.entries(TOLERANCES).map(([name, tolerance_ns]) => {
    const own = agents(name, nowMs);
    const of = (verdict: Verdict): number => own.filter((agent) => agent.verdict === verdict).length;
    return {
      id: `cus_${name}`,
      name,
      tolerance_ns,
      agents: own.length,
      within: of("within"),
      outside: of("outside"),
      not_proven: of("not-proven"),
      contacts: name === "hanbit" ? ["time@hanbit.example", "night-watch@hanbit.example"] : [],
      language: name === "hanbit" ? "ko" : "en",
      zone: name === "hanbit" ? "Asia/Seoul" : "UTC",
      revision: 1,
    };
  });
}

export function graph(id: string, fromMs: number, toMs: number, points: number): Graph | undefined {
  const server = SERVERS.find((each) => each.id === id);
  if (server === undefined) return undefined;
  const now = Date.now();
  const step = Math.max(server.pollMs, Math.ceil((toMs - fromMs) / points / server.pollMs) * server.pollMs);
  const series: Point[] = [];
  const periods: Period[] = [];
  const totals = { within: 0, outside: 0, "not-proven": 0 };
  for (let at = Math.ceil(fromMs / step) * step; at < toMs; at += step) {
    if (at <= now && !silentAt(server, at)) {
      const looks = step === server.pollMs ? 1 : 12;
      const values = Array.from({ length: looks }, (_, index) => server.offset(at + (index * step) / looks));
      series.push({
        at_ms: at,
        offset_min_ns: Math.round(Math.min(...values)),
        offset_max_ns: Math.round(Math.max(...values)),
        delay_ns: Math.round(server.delayNs * (0.9 + 0.2 * noise(at, 2) + (noise(at, 6) > 0.97 ? 1.5 : 0))),
        bound_ns: server.boundNs,
      });
    }
  }
  for (let at = fromMs; at < toMs; at += step) {
    const end = Math.min(at + step, toMs);
    const { verdict, why } = at > now ? { verdict: "not-proven" as const, why: "no-data" } : verdictAt(server, at);
    totals[verdict] += end - at;
    const last = periods[periods.length - 1];
    if (last?.verdict === verdict && last.why === why) periods[periods.length - 1] = { ...last, to_ms: end };
    else periods.push({ from_ms: at, to_ms: end, verdict, why });
  }
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    tolerance_ns: tolerance(server.customer),
    gap_ms: step * 2.5,
    points: series,
    periods,
    events: server.marks
      .map(({ agoMs, ...mark }) => ({ ...mark, at_ms: begun - agoMs }))
      .filter((mark) => mark.at_ms >= fromMs && mark.at_ms <= toMs),
    proofs: { exchanges: 1_342, proven: 1_338, late: 12, refused: 0 },
    totals: { within_ms: totals.within, outside_ms: totals.outside, not_proven_ms: totals["not-proven"] },
  };
}

export function centre(nowMs: number, address: string, log: Head): Centre {
  return {
    name: "mock",
    version: "0.1.0",
    started_at: new Date(begun - 11 * MINUTE).toISOString(),
    now: new Date(nowMs).toISOString().replace("Z", "123456Z"),
    clock: {
      verdict: "declared",
      error_bound_ns: 1 * MS,
      source: "local",
      reason: "declared",
      since: new Date(begun - 11 * MINUTE).toISOString(),
      stratum: 10,
      leap: "none",
      root_delay_ns: 0,
      root_dispersion_ns: 1 * MS,
      reference_id: "127.127.1.1",
      entry: 3,
    },
    log,
    ntp: {
      address: "127.0.0.1:12300",
      answered: 330 + Math.floor((nowMs - begun) / 2_000),
      dropped: { short: 0, version: 2, mode: 1 },
    },
    http: { address },
    store: { kind: "sqlite" },
    upstreams: [],
  };
}
