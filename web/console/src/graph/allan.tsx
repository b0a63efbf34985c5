// The Allan deviation over averaging times, both in powers of ten.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { AllanPoint } from "@angbu/shared/client";
import { useSpeech } from "../words";
import { scale } from "./axis";
import { crisp } from "./plots";
import { useWidth } from "./width";

const HIGH = 240;
const LEFT = 52;
const TOP = 26;
const BOTTOM = 42;

export function AllanFigure({ points }: { readonly points: readonly AllanPoint[] }): JSX.Element {
  const { words } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  // A deviation of nothing, as of a simulated clock, has no place among powers.
  const told = points.filter((point) => point.deviation > 0);
  const taus = told.map((point) => Math.log10(point.tau_ns / 1e9));
  const lows = told.map((point) => Math.log10(Math.max(point.deviation - point.error, point.deviation / 10)));
  const highs = told.map((point) => Math.log10(point.deviation + point.error));
  const [left, right] = [Math.floor(Math.min(...taus)), Math.ceil(Math.max(...taus) + 0.001)];
  const [low, high] = [Math.floor(Math.min(...lows)), Math.ceil(Math.max(...highs) + 0.001)];
  const x = scale([left, right], [LEFT, width - 20]);
  const y = scale([high, low], [TOP, TOP + HIGH]);
  return (
    <figure class="graph">
      <div ref={box} class="graph-box">
        {width > LEFT + 60 && told.length > 0 && (
          <svg viewBox={`0 0 ${width} ${TOP + HIGH + BOTTOM}`} role="img" aria-label={words.allan}>
            {powers(low, high).map((power) => (
              <g key={power}>
                <line class="rule" x1={LEFT} x2={width - 20} y1={crisp(y(power))} y2={crisp(y(power))} />
                <text class="tick" x={LEFT - 6} y={y(power) + 4} text-anchor="end">
                  10<tspan dy="-5" font-size="9">{String(power).replace("-", "−")}</tspan>
                </text>
              </g>
            ))}
            {powers(left, right).map((power) => (
              <g key={power}>
                <line class="rule" x1={crisp(x(power))} x2={crisp(x(power))} y1={TOP} y2={TOP + HIGH} />
                <text class="tick" x={x(power)} y={TOP + HIGH + 18} text-anchor="middle">
                  10<tspan dy="-5" font-size="9">{String(power).replace("-", "−")}</tspan>
                </text>
              </g>
            ))}
            {told.map((point, index) => (
              <line
                key={point.tau_ns}
                class="error-bar"
                x1={x(taus[index]!)}
                x2={x(taus[index]!)}
                y1={y(lows[index]!)}
                y2={y(highs[index]!)}
              />
            ))}
            <path
              class="growth-line"
              d={told.map((point, index) => `${index === 0 ? "M" : "L"}${x(taus[index]!)} ${y(Math.log10(point.deviation))}`).join("")}
            />
            {told.map((point, index) => (
              <circle key={point.tau_ns} class="dot" cx={x(taus[index]!)} cy={y(Math.log10(point.deviation))} r="3" />
            ))}
            <text class="label" x={LEFT} y={TOP - 10}>
              {words.allanSigma}
            </text>
            <text class="label" x={width - 20} y={TOP + HIGH + 36} text-anchor="end">
              {`${words.allanTau}, s`}
            </text>
          </svg>
        )}
      </div>
    </figure>
  );
}

function powers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
