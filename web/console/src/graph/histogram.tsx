// How often each size was measured.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Spread } from "@angbu/shared/client";
import { count, duration } from "../format";
import { useSpeech } from "../words";
import { axisUnit, scale, valueTicks } from "./axis";
import { crisp } from "./plots";
import { useWidth } from "./width";

const HIGH = 120;
const TOP = 8;
const BOTTOM = 24;

export function HistogramFigure({ of, name }: { readonly of: Spread; readonly name: string }): JSX.Element {
  const { words, language } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const most = Math.max(1, ...of.bars);
  const end = of.bars_from_ns + of.bars.length * of.bar_ns;
  const x = scale([of.bars_from_ns, end], [1, width - 1]);
  const y = scale([most, 0], [TOP, TOP + HIGH]);
  const unit = axisUnit(Math.max(Math.abs(of.bars_from_ns), Math.abs(end)));
  const beyond = of.below + of.above;
  return (
    <figure class="graph">
      <div ref={box} class="graph-box">
        {width > 80 && (
          <svg viewBox={`0 0 ${width} ${TOP + HIGH + BOTTOM}`} role="img" aria-label={name}>
            {of.bars.map((bar, index) => {
              const from = of.bars_from_ns + index * of.bar_ns;
              return (
                <rect key={from} class="bar" x={x(from)} width={Math.max(1, x(from + of.bar_ns) - x(from) - 1)} y={y(bar)} height={TOP + HIGH - y(bar)}>
                  <title>
                    {words.histogramBar({ from: duration(from), to: duration(from + of.bar_ns), count: count(bar, language) })}
                  </title>
                </rect>
              );
            })}
            <line class="rule is-zero" x1={0} x2={width} y1={crisp(TOP + HIGH)} y2={crisp(TOP + HIGH)} />
            {valueTicks(of.bars_from_ns, end, Math.max(2, Math.floor(width / 90))).map((value) => (
              <text
                key={value}
                class="tick"
                x={x(value)}
                y={TOP + HIGH + 17}
                text-anchor={x(value) < 24 ? "start" : x(value) > width - 40 ? "end" : "middle"}
              >
                {`${Number((value / unit.ns).toPrecision(6))} ${unit.name}`.replace("-", "−")}
              </text>
            ))}
          </svg>
        )}
      </div>
      {beyond > 0 && <figcaption class="soft">{words.histogramBeyond({ count: count(beyond, language) })}</figcaption>}
    </figure>
  );
}
