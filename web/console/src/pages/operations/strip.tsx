// How the centre's clock stood over a period, and what one source showed: drawn, with the words beside it elsewhere.
import type { JSX } from "preact";
import { useId, useMemo, useRef } from "preact/hooks";
import type { ClockStretch, SourcePoint } from "@angbu/shared/client";
import { axisUnit, scale, valueTicks, zoneAheadMs } from "../../graph/axis";
import { HEIGHT } from "../../graph/layout";
import { crisp, TimeAxis } from "../../graph/plots";
import { useWidth } from "../../graph/width";
import { useSpeech } from "../../words";

/** Solid where the clock was proven, striped where it was declared, hatched where nothing was, empty where nothing ran. */
export function ClockStrip(props: {
  readonly stretches: readonly ClockStretch[];
  readonly fromMs: number;
  readonly toMs: number;
}): JSX.Element {
  const { words, language } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const pattern = useId();
  const both = zoneAheadMs(props.toMs) !== 0;
  const [left, right] = [44, width - 8];
  const x = scale([props.fromMs, props.toMs], [left, right]);
  const axis = { left, right, offsetTop: 4, axisTop: HEIGHT.strip + 10, fromMs: props.fromMs, toMs: props.toMs, x };
  return (
    <div ref={box} class="graph-box">
      {right > left && (
        <svg viewBox={`0 0 ${width} ${HEIGHT.strip + 14 + (both ? 2 : 1) * HEIGHT.axis}`} role="img" aria-label={words.clockStrip}>
          <defs>
            <pattern id={`${pattern}-declared`} width="8" height="8" patternUnits="userSpaceOnUse">
              <path class="declared-line" d="M0 2h8M0 6h8" />
            </pattern>
            <pattern id={`${pattern}-unproven`} width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
              <path class="hatch-line" d="M0 0v7" />
            </pattern>
          </defs>
          <TimeAxis at={axis} language={language} both={both} />
          <g class="strip" transform="translate(0 5)">
            {props.stretches.map((stretch) => {
              const from = x(stretch.from_ms);
              const place = { x: from, y: 0, width: Math.max(x(stretch.to_ms) - from, stretch.verdict === "proven" ? 0 : 2), height: HEIGHT.strip };
              const key = stretch.from_ms;
              if (stretch.verdict === "proven") return <rect key={key} class="is-within" {...place} />;
              if (stretch.verdict == null) return <rect key={key} class="is-down" {...place} />;
              return (
                <g key={key} class="is-not-proven">
                  <rect class="hatch-ground" {...place} />
                  <rect {...place} fill={`url(#${pattern}-${stretch.verdict})`} />
                </g>
              );
            })}
          </g>
        </svg>
      )}
    </div>
  );
}

const TALL = 96;

/** Offsets with their bounds; of the centre's own clock, which has no offset from itself, the bound alone. */
export function SourceFigure(props: {
  readonly points: readonly SourcePoint[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly label: string;
}): JSX.Element {
  const { words, language } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const both = zoneAheadMs(props.toMs) !== 0;
  const figures = useMemo(() => props.points.map(reachOf).filter((each) => each !== undefined), [props.points]);
  const most = Math.max(1_000, ...figures.map((each) => each.high)) * 1.1;
  const least = Math.min(0, ...figures.map((each) => each.low)) * 1.1;
  const unit = axisUnit(Math.max(most, -least));
  const [left, right, top] = [56, width - 8, 18];
  const x = scale([props.fromMs, props.toMs], [left, right]);
  const y = scale([most, least], [top, top + TALL]);
  const axis = { left, right, offsetTop: top, axisTop: top + TALL + 4, fromMs: props.fromMs, toMs: props.toMs, x };
  // A point stands for the minutes before it.
  const wide = Math.max(2, figures.length > 1 ? (right - left) / Math.max(60, figures.length) : 3);
  return (
    <div ref={box} class="graph-box">
      {right > left && (
        <svg viewBox={`0 0 ${width} ${top + TALL + 8 + (both ? 2 : 1) * HEIGHT.axis}`} role="img" aria-label={props.label}>
          <TimeAxis at={axis} language={language} both={both} />
          {valueTicks(least, most, 3).map((value) => (
            <g key={value}>
              <line class={value === 0 ? "rule is-zero" : "rule"} x1={left} x2={right} y1={crisp(y(value))} y2={crisp(y(value))} />
              <text class="tick" x={left - 6} y={y(value) + 4} text-anchor="end">
                {String(Number((value / unit.ns).toPrecision(3))).replace("-", "\u2212")}
              </text>
            </g>
          ))}
          {figures.map((each) => (
            <g key={each.atMs}>
              <rect class="bound" x={x(each.atMs) - wide} y={y(each.high)} width={wide} height={Math.max(1, y(each.low) - y(each.high))} />
              {each.offset && (
                <rect class="source-offset" x={x(each.atMs) - wide} y={y(each.max) - 1} width={wide} height={Math.max(2, y(each.min) - y(each.max))} />
              )}
            </g>
          ))}
          <text class="label" x={left} y={top - 6}>
            {`${words.offset} ±, ${unit.name}`}
          </text>
        </svg>
      )}
    </div>
  );
}

function reachOf(point: SourcePoint): { atMs: number; low: number; high: number; min: number; max: number; offset: boolean } | undefined {
  const { offset_min_ns: min, offset_max_ns: max, bound_ns: bound } = point;
  if (typeof min !== "number" || typeof max !== "number" || typeof bound !== "number") return undefined;
  const offset = min !== 0 || max !== 0;
  return { atMs: point.at_ms, min, max, offset, low: offset ? min - bound : 0, high: max + bound };
}
