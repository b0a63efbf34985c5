// How many entries the log held, over time: a line in steps, since a log grows at once by a whole batch.
import type { JSX, TargetedKeyboardEvent, TargetedPointerEvent } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { GrowthPoint } from "@angbu/shared/client";
import { count } from "../format";
import { When } from "../parts/when";
import { useSpeech } from "../words";
import { scale, valueTicks, zoneAheadMs } from "./axis";
import { moved } from "./graph";
import { HEIGHT } from "./layout";
import { crisp, TimeAxis } from "./plots";
import { lastBefore, stepLine } from "./steps";
import { useWidth } from "./width";

const TOP = 16;

export function GrowthFigure(props: {
  readonly points: readonly GrowthPoint[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly busy: boolean;
}): JSX.Element {
  const { points, fromMs, toMs } = props;
  const { words, language } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [cursorMs, setCursor] = useState<number>();
  const [spoken, setSpoken] = useState(false);
  const both = zoneAheadMs(toMs) !== 0;
  const stops = useMemo(() => points.map((point) => point.at_ms), [points]);

  const least = points[0]?.size ?? 0;
  const most = Math.max(least + 1, points[points.length - 1]?.size ?? 0);
  const left = Math.max(44, 20 + 8 * count(most, language).length);
  const right = width - 8;
  const bottom = TOP + HEIGHT.offset;
  const axes = both ? 2 : 1;
  const x = scale([fromMs, toMs], [left, right]);
  const y = scale([most, least], [TOP + 6, bottom - 1]);
  const at = { left, right, offsetTop: TOP, axisTop: bottom + 4, fromMs, toMs, x };
  const here = lastBefore(points, cursorMs ?? toMs);

  const point = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    const frame = event.currentTarget.getBoundingClientRect();
    const share = (((event.clientX - frame.left) / frame.width) * width - left) / (right - left);
    setSpoken(false);
    setCursor(fromMs + Math.min(1, Math.max(0, share)) * (toMs - fromMs));
  };
  const press = (event: TargetedKeyboardEvent<SVGSVGElement>): void => {
    const next = moved(event.key, event.shiftKey, stops, cursorMs);
    if (next === undefined) return;
    event.preventDefault();
    setSpoken(true);
    setCursor(next ?? undefined);
  };
  const shownMs = cursorMs ?? here?.at_ms;
  return (
    <figure class="graph" aria-busy={props.busy}>
      <dl class="readout is-growth" aria-live={spoken ? "polite" : "off"} aria-atomic="true">
        <div>
          <dt>{cursorMs === undefined ? words.growthNewest : words.at}</dt>
          <dd>{shownMs === undefined ? "–" : <When at={Math.floor(shownMs)} digits={0} />}</dd>
        </div>
        <div>
          <dt>{words.logSize}</dt>
          <dd>{here === undefined ? "–" : count(here.size, language)}</dd>
        </div>
      </dl>
      <div ref={box} class="graph-box">
        {right > left && (
          <svg
            viewBox={`0 0 ${width} ${bottom + axes * HEIGHT.axis + 8}`}
            role="application"
            aria-label={words.growthOf}
            tabIndex={0}
            onPointerMove={point}
            onPointerDown={point}
            onPointerLeave={(event) => event.pointerType === "mouse" && setCursor(undefined)}
            onKeyDown={press}
            onBlur={() => setCursor(undefined)}
          >
            <TimeAxis at={at} language={language} both={both} />
            {wholeTicks(least, most).map((value) => (
              <g key={value}>
                <line class="rule" x1={left} x2={right} y1={crisp(y(value))} y2={crisp(y(value))} />
                <text class="tick" x={left - 6} y={y(value) + 4} text-anchor="end">
                  {count(value, language)}
                </text>
              </g>
            ))}
            <path class="growth-area" d={`${stepLine(points, x, y, right)}V${bottom}H${x(points[0]?.at_ms ?? fromMs)}Z`} />
            <path class="growth-line" d={stepLine(points, x, y, right)} />
            {cursorMs !== undefined && <line class="cursor" x1={crisp(x(cursorMs))} x2={crisp(x(cursorMs))} y1={TOP} y2={bottom} />}
          </svg>
        )}
      </div>
    </figure>
  );
}

/** Entries are whole, so their axis has no halves. */
function wholeTicks(low: number, high: number): readonly number[] {
  return valueTicks(low, high, 5).filter((value) => Number.isInteger(value));
}
