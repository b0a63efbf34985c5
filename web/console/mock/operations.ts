// How the made-up centre ran, what its clock rested on, and what a laboratory found of its receiver.
import type { Calibration, Operations, ClockState, ClockStretch, SourcePoint } from "@angbu/shared/client";
import type { Answer } from "./accounts";
import { begun } from "./site";

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const STARTED = begun - 26 * DAY;
const CRASHED = begun - 5 * DAY;
const BACK = CRASHED + 47 * MINUTE;
const LOST = begun - 2 * DAY;

/** When each state of the clock began, and what it said. */
const STATES: readonly (Omit<ClockState, "since" | "entry_id"> & { readonly at: number })[] = [
  { at: STARTED, verdict: "unproven", reason: "starting", source: "", reference_id: "INIT", stratum: 16, bound_ns: 0 },
  { at: STARTED + MINUTE, verdict: "proven", reason: "receiver", source: "SHM 0", reference_id: "GPS", stratum: 1, bound_ns: 62_000 },
  { at: BACK, verdict: "unproven", reason: "starting", source: "", reference_id: "INIT", stratum: 16, bound_ns: 0 },
  { at: BACK + MINUTE, verdict: "proven", reason: "receiver", source: "SHM 0", reference_id: "GPS", stratum: 1, bound_ns: 58_000 },
  { at: LOST, verdict: "proven", reason: "holdover", source: "SHM 0", reference_id: "GPS", stratum: 1, bound_ns: 3_100_000 },
  { at: LOST + 40 * MINUTE, verdict: "proven", reason: "measured", source: "nts://ntp1.example", reference_id: "192.0.2.1", stratum: 2, bound_ns: 4_800_000 },
  { at: LOST + 190 * MINUTE, verdict: "proven", reason: "receiver", source: "SHM 0", reference_id: "GPS", stratum: 1, bound_ns: 61_000 },
];

export function operations(fromMs: number, toMs: number, points: number): Operations {
  const until = Math.min(toMs, Date.now());
  const stretches = stretchesOf(fromMs, until);
  const sum = (verdict: ClockStretch["verdict"]): number =>
    stretches.filter((each) => each.verdict === verdict).reduce((all, each) => all + each.to_ms - each.from_ms, 0);
  const iso = (ms: number): string => new Date(ms).toISOString();
  const seen = STATES.filter((state) => state.at < until);
  return {
    from: iso(fromMs),
    to: iso(until),
    centres: [
      {
        name: "centre",
        answers: true,
        totals: { proven_ms: sum("proven"), declared_ms: sum("declared"), unproven_ms: sum("unproven"), down_ms: sum(null) },
        bound_ns: LOST < until && LOST + 190 * MINUTE > fromMs ? 4_800_000 : 62_000,
        stretches,
        states: seen.map(({ at, ...state }, place) => ({ ...state, since: iso(at), entry_id: `01KAG000000000000000STATE${place}` })).reverse(),
        runs: [
          { run: 12, version: "0.1.0", started_at: iso(BACK), seen_at: iso(Date.now()), end: "running" },
          { run: 11, version: "0.1.0", started_at: iso(STARTED), seen_at: iso(CRASHED), end: "crashed" },
          { run: 10, version: "0.0.9", started_at: iso(STARTED - 9 * DAY), seen_at: iso(STARTED - 2 * MINUTE), end: "stopped" },
        ],
        sources: [
          { source: "", points: pointsOf(fromMs, until, points, 0, 62_000, 1) },
          { source: "SHM 0", points: pointsOf(fromMs, until, points, 9_000, 54_000, 0, [LOST, LOST + 190 * MINUTE]) },
          { source: "nts://ntp1.example", points: pointsOf(fromMs, until, points, 800_000, 4_100_000, 1) },
          { source: "nts://ntp2.example:4461", points: pointsOf(fromMs, until, points, 1_400_000, 6_900_000, 2) },
        ],
      },
    ],
  };
}

function stretchesOf(fromMs: number, toMs: number): ClockStretch[] {
  const cuts = [fromMs, toMs, STARTED, CRASHED, ...STATES.map((state) => state.at)].filter((at) => at >= fromMs && at <= toMs);
  const sorted = [...new Set(cuts)].sort((a, b) => a - b);
  return sorted.slice(1).map((to_ms, place) => {
    const from_ms = sorted[place]!;
    const state = STATES.filter((each) => each.at <= from_ms).pop();
    const down = from_ms < STARTED || (from_ms >= CRASHED && from_ms < BACK);
    return { from_ms, to_ms, verdict: down || state === undefined ? null : state.verdict };
  });
}

function pointsOf(
  fromMs: number,
  toMs: number,
  count: number,
  wander: number,
  bound: number,
  stratum: number,
  lost: readonly [number, number] = [0, 0],
): SourcePoint[] {
  const step = Math.max(5 * MINUTE, (toMs - fromMs) / count);
  const points: SourcePoint[] = [];
  for (let at = fromMs + step; at <= toMs; at += step) {
    if (at < STARTED || (at > CRASHED && at < BACK)) continue;
    const silent = at > lost[0] && at < lost[1];
    const asked = Math.round(step / 64_000);
    const middle = wander * Math.sin(at / (97 * MINUTE) + stratum);
    const figures = { offset_min_ns: Math.round(middle - wander / 6), offset_max_ns: Math.round(middle + wander / 6), bound_ns: bound, stratum };
    const none = { offset_min_ns: null, offset_max_ns: null, bound_ns: null, stratum: null };
    points.push({ at_ms: Math.round(at), asked, answered: silent ? 0 : asked, ...(silent ? none : figures) });
  }
  return points;
}

/** The calibrations, which this account of the mock may add to. */
export class Calibrations {
  readonly #all: Calibration[] = [
    calibration({ measured_at: "2025-12-10T00:00:00Z", valid_until: new Date(begun + 18 * DAY).toISOString(), standing: "ending" }),
    calibration({ certificate: "2024-1190", measured_at: "2024-12-03T00:00:00Z", valid_until: "2025-12-03T00:00:00Z", standing: "ended", offset_ns: 21 }),
  ];

  answer(call: string, given: Record<string, unknown>, operator: boolean): Answer | undefined {
    const withdrawn = /^POST \/time\/calibrations\/([^/]+)\/withdraw$/.exec(call)?.[1];
    if (call === "GET /time/calibrations") return { status: 200, body: { calibrations: this.#all } };
    if (call !== "POST /time/calibrations" && withdrawn === undefined) return undefined;
    if (!operator) return { status: 403, problem: "forbidden", title: "Not allowed" };
    const entry_id = `01KAG0000000000000000CAL${this.#all.length}`;
    const place = this.#all.findIndex((each) => each.id === withdrawn);
    const found = this.#all[place];
    if (found !== undefined) this.#all[place] = { ...found, standing: "withdrawn", withdrawn_by: entry_id };
    else this.#all.unshift(calibration({ ...(given as Partial<Calibration>), id: entry_id, file_sha256: given.file == null ? null : "a5".repeat(32) }));
    return { status: withdrawn === undefined ? 201 : 200, body: { entry_id } };
  }
}

function calibration(some: Partial<Calibration>): Calibration {
  return {
    id: `01KAG0000000000000${some.certificate ?? "2025-0815"}`,
    recorded_at: "2025-12-12T09:30:00Z",
    subject: "GNSS receiver 4711",
    laboratory: "KRISS 한국표준과학연구원",
    certificate: "2025-0815",
    measured_at: "2025-12-10T00:00:00Z",
    offset_ns: -37,
    uncertainty_ns: 50,
    coverage: "2",
    valid_until: "2027-12-10T00:00:00Z",
    file_sha256: "a5".repeat(32),
    standing: "valid",
    withdrawn_by: null,
    ...some,
  };
}
