// The plots themselves: what was allowed, what was measured on it, what that proves, and the time beneath.
import type { JSX } from "preact";
import type { Graph } from "@angbu/shared/client";
import { clock, date } from "../format";
import { HappeningMark } from "../parts/mark";
import type { Language, Words } from "../words";
import { axisUnit, DAY, scale, timeTicks, valueTicks, zoneAheadMs } from "./axis";
import { delayTop, HEIGHT, type Layout, offsetLimit, type ScaleName } from "./layout";
import { beyond, envelope, notched, runs } from "./series";

interface Plot {
  readonly at: Layout;
  readonly graph: Graph;
  readonly words: Words;
}

/** What was allowed: drawn before anything else, so that all else stands on it. */
export function Band({ at, graph, shown }: Omit<Plot, "words"> & { readonly shown: ScaleName }): JSX.Element {
  const limit = offsetLimit(graph, shown);
  const edge = Math.min(limit, graph.tolerance_ns);
  const y = scale([limit, -limit], [at.offsetTop, at.offsetTop + HEIGHT.offset]);
  return <rect class="band" x={at.left} y={y(edge)} width={at.right - at.left} height={y(-edge) - y(edge)} />;
}

export function OffsetPlot({ at, graph, words, shown }: Plot & { readonly shown: ScaleName }): JSX.Element {
  const top = at.offsetTop;
  const limit = offsetLimit(graph, shown);
  const y = scale([limit, -limit], [top, top + HEIGHT.offset]);
  const unit = axisUnit(limit);
  const parts = runs(graph.points, graph.gap_ms);
  return (
    <svg class="plot" x={0} y={0} width={at.width} height={top + HEIGHT.offset} overflow="hidden">
      {valueTicks(-limit, limit, 6).map((value) => (
        <g key={value}>
          <line class={value === 0 ? "rule is-zero" : "rule"} x1={at.left} x2={at.right} y1={crisp(y(value))} y2={crisp(y(value))} />
          {Math.abs(y(value) - top) > 5 && (
            <text class="tick" x={at.left - 6} y={y(value) + 4} text-anchor="end">
              {axisNumber(value / unit.ns)}
            </text>
          )}
        </g>
      ))}
      {[graph.tolerance_ns, -graph.tolerance_ns]
        .filter((edge) => Math.abs(edge) <= limit)
        .map((edge) => (
          <line key={edge} class="band-edge" x1={at.left} x2={at.right} y1={crisp(y(edge))} y2={crisp(y(edge))} />
        ))}
      <Clipped at={at} top={top} height={HEIGHT.offset}>
        {parts.map((run) => (
          <path
            key={run[0]!.at_ms}
            class="bound"
            d={envelope(run, at.x, y, (p) => p.offset_max_ns + p.bound_ns, (p) => p.offset_min_ns - p.bound_ns)}
          />
        ))}
        {parts.map((run) => (
          <path key={run[0]!.at_ms} class="data" d={envelope(run, at.x, y, (p) => p.offset_max_ns, (p) => p.offset_min_ns)} />
        ))}
      </Clipped>
      {beyond(graph.points, limit, at.x).map(({ x, above }) => (
        <path
          key={`${x}${above}`}
          class="beyond"
          d={above ? `M${x} ${top + 1}l4 7h-8z` : `M${x} ${top + HEIGHT.offset - 1}l4-7h-8z`}
        />
      ))}
      <text class="label" x={at.left} y={top - 17}>
        {`${words.offset}, ${unit.name}`}
      </text>
    </svg>
  );
}

/** Starts, stops and alarms: a mark above the plots and a thin line through them. */
export function Marks({ at, graph }: { readonly at: Layout; readonly graph: Graph }): JSX.Element {
  return (
    <g>
      {graph.events
        .filter((mark) => mark.at_ms >= at.fromMs && mark.at_ms <= at.toMs)
        .map((mark) => {
          const x = at.x(mark.at_ms);
          return (
            <g key={`${mark.at_ms}${mark.kind}`}>
              <line class={`mark-line is-${mark.kind}`} x1={crisp(x)} x2={crisp(x)} y1={at.offsetTop} y2={at.delayTop + HEIGHT.delay} />
              <HappeningMark kind={mark.kind} x={Math.min(at.right - 5, Math.max(at.left + 5, x))} y={at.offsetTop - 8} />
            </g>
          );
        })}
    </g>
  );
}

/** The verdicts over the period. What is short and bad is drawn last and at least two pixels wide, so that it shows. */
export function Strip(props: {
  readonly at: Pick<Layout, "stripTop" | "x" | "fromMs" | "toMs">;
  readonly graph: Pick<Graph, "periods">;
  readonly hatch: string;
}): JSX.Element {
  const { at, graph, hatch } = props;
  const rank = { within: 0, "not-proven": 1, outside: 2 } as const;
  const periods = [...graph.periods].sort((a, b) => rank[a.verdict] - rank[b.verdict]);
  return (
    <g class="strip" transform={`translate(0 ${at.stripTop})`}>
      {periods.map((period) => {
        const x = at.x(Math.max(period.from_ms, at.fromMs));
        const width = Math.max(at.x(Math.min(period.to_ms, at.toMs)) - x, period.verdict === "within" ? 0 : 2);
        const key = `${period.from_ms}${period.verdict}`;
        if (period.verdict === "outside") {
          return <path key={key} class="is-outside" d={notched(x, width, HEIGHT.strip)} />;
        }
        const box = { x, y: 0, width, height: HEIGHT.strip };
        if (period.verdict === "within") return <rect key={key} class="is-within" {...box} />;
        return (
          <g key={key} class="is-not-proven">
            <rect class="hatch-ground" {...box} />
            <rect {...box} fill={`url(#${hatch})`} />
          </g>
        );
      })}
    </g>
  );
}

export function DelayPlot({ at, graph, words }: Plot): JSX.Element {
  const most = delayTop(graph.points);
  const unit = axisUnit(most);
  const y = scale([most, 0], [at.delayTop, at.delayTop + HEIGHT.delay]);
  return (
    <g class="plot">
      {[0, most / 2, most].map((value) => (
        <g key={value}>
          <line class={value === 0 ? "rule is-zero" : "rule"} x1={at.left} x2={at.right} y1={crisp(y(value))} y2={crisp(y(value))} />
          <text class="tick" x={at.left - 6} y={y(value) + 4} text-anchor="end">
            {axisNumber(value / unit.ns)}
          </text>
        </g>
      ))}
      <Clipped at={at} top={at.delayTop - 1} height={HEIGHT.delay + 2}>
        {runs(graph.points, graph.gap_ms).map((run) => (
          <path key={run[0]!.at_ms} class="data" d={envelope(run, at.x, y, (p) => p.delay_ns, (p) => p.delay_ns)} />
        ))}
      </Clipped>
      <text class="label" x={at.left} y={at.delayTop - 9}>
        {`${words.delay}, ${unit.name}`}
      </text>
    </g>
  );
}

type Axis = Pick<Layout, "left" | "right" | "offsetTop" | "axisTop" | "fromMs" | "toMs" | "x">;

export function TimeAxis({ at, language, both }: { readonly at: Axis; readonly language: Language; readonly both: boolean }): JSX.Element {
  const ticks = timeTicks(at.fromMs, at.toMs, Math.max(2, Math.floor((at.right - at.left) / 86)), zoneAheadMs);
  const zones = both ? (["reader", "utc"] as const) : (["utc"] as const);
  return (
    <g class="axis">
      {ticks.atMs.map((ms) => (
        <line key={ms} class="rule" x1={crisp(at.x(ms))} x2={crisp(at.x(ms))} y1={at.offsetTop} y2={at.axisTop} />
      ))}
      {zones.map((zone, row) => {
        const y = at.axisTop + 14 + row * HEIGHT.axis;
        return (
          <g key={zone} class={row === 0 ? "" : "is-second"}>
            <text class="tick" x={at.left - 6} y={y} text-anchor="end">
              {zone === "utc" ? "UTC" : zoneShort(at.toMs)}
            </text>
            {ticks.atMs
              .filter((ms) => at.x(ms) > at.left + 26 && at.x(ms) < at.right - 14)
              .map((ms) => (
                <text key={ms} class="tick" x={at.x(ms)} y={y} text-anchor="middle">
                  {tickText(ms, ticks.stepMs, zone, language)}
                </text>
              ))}
          </g>
        );
      })}
    </g>
  );
}

function Clipped(props: {
  readonly at: Layout;
  readonly top: number;
  readonly height: number;
  readonly children: JSX.Element | readonly JSX.Element[] | readonly (readonly JSX.Element[])[];
}): JSX.Element {
  const { at, top, height } = props;
  // An inner <svg> clips without an id of its own.
  return (
    <svg
      x={at.left}
      y={top}
      width={at.right - at.left}
      height={height}
      viewBox={`${at.left} ${top} ${at.right - at.left} ${height}`}
      overflow="hidden"
    >
      {props.children}
    </svg>
  );
}

function tickText(ms: number, stepMs: number, zone: "reader" | "utc", language: Language): string {
  const at = { ms, ns: 0 };
  const time = clock(at, zone, 0);
  if (stepMs >= DAY || time === "00:00:00") {
    const options = { month: "short", day: "numeric" } as const;
    const day = new Intl.DateTimeFormat(language, zone === "utc" ? { ...options, timeZone: "UTC" } : options).format(ms);
    // At a step of days only the reader's zone falls on midnight; UTC shows its own time of day there.
    if (stepMs < DAY || zone === "reader" || time === "00:00:00") return day;
    return `${date(at, zone).slice(5)} ${time.slice(0, 5)}`;
  }
  return stepMs >= 60_000 ? time.slice(0, 5) : time;
}

function zoneShort(ms: number): string {
  const hours = zoneAheadMs(ms) / 3_600_000;
  return `${hours < 0 ? "\u2212" : "+"}${Math.abs(hours)}`;
}

function axisNumber(value: number): string {
  return String(Number(value.toPrecision(4))).replace("-", "\u2212");
}

/** Half a pixel, so that a line of one pixel fills one row. */
export function crisp(value: number): number {
  return Math.round(value) + 0.5;
}
