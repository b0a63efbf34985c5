// What stands under the cursor, in words and figures, in a place of its own.
import type { JSX } from "preact";
import type { Graph } from "@angbu/shared/client";
import { delayText, digitsFor, duration, measured, measuredText, NBSP } from "../format";
import { VerdictMark } from "../parts/mark";
import { When } from "../parts/when";
import { coded, useSpeech, type Words } from "../words";
import { nearest, periodAt } from "./series";

/** `spoken` is set while the keyboard moves the cursor: a pointer's every step would drown a listener. */
export function Readout(props: {
  readonly graph: Graph;
  readonly cursorMs: number | undefined;
  readonly boundNs: number;
  readonly spoken: boolean;
}): JSX.Element {
  const { words } = useSpeech();
  const { graph, cursorMs } = props;
  const newest = graph.points[graph.points.length - 1];
  const atMs = cursorMs ?? newest?.at_ms;
  const point = atMs === undefined ? undefined : nearest(graph.points, atMs, graph.gap_ms / 2);
  const shownMs = point?.at_ms ?? atMs;
  const period = shownMs === undefined ? undefined : periodAt(graph.periods, shownMs);
  const marks = atMs === undefined ? [] : graph.events.filter((mark) => mark.at_ms === atMs);
  const exact = point === undefined || point.offset_min_ns === point.offset_max_ns;
  return (
    <dl class="readout" aria-live={props.spoken ? "polite" : "off"} aria-atomic="true">
      <div class="readout-when">
        <dt>{cursorMs === undefined ? words.newest : words.at}</dt>
        <dd>{shownMs === undefined ? "–" : <When at={marks[0]?.at_ms ?? shownMs} digits={exact ? Math.min(3, digitsFor(props.boundNs)) : 0} />}</dd>
      </div>
      <div>
        <dt>{words.offset}</dt>
        <dd>{point === undefined ? words.noExchange : offsetText(point.offset_min_ns, point.offset_max_ns, point.bound_ns)}</dd>
      </div>
      <div>
        <dt>{words.delay}</dt>
        <dd>{point === undefined ? "–" : delayText(point.delay_ns)}</dd>
      </div>
      <div class="readout-verdict">
        <dt>{words.verdict}</dt>
        <dd>
          {period === undefined ? (
            "–"
          ) : (
            <>
              <VerdictMark verdict={period.verdict} /> {words[period.verdict]}
              {period.verdict !== "within" && <span class="why">{coded(words, "why", period.why)}</span>}
            </>
          )}
          {marks.map((mark) => (
            <strong key={mark.kind} class={`readout-mark is-${mark.kind}`}>
              {markText(words, mark.kind, mark.difference_ns)}
            </strong>
          ))}
        </dd>
      </div>
    </dl>
  );
}

export function markText(words: Words, kind: Graph["events"][number]["kind"], differenceNs: number | null | undefined): string {
  if (kind === "alarm" && typeof differenceNs === "number") {
    return words.markAlarmBy({ difference: `${differenceNs > 0 ? "+" : ""}${duration(differenceNs)}` });
  }
  if (kind === "pause" && typeof differenceNs === "number") return words.markPauseOf({ length: duration(differenceNs) });
  return words[`mark.${kind}`];
}

function offsetText(lowNs: number, highNs: number, boundNs: number): string {
  if (lowNs === highNs) return measuredText(lowNs, boundNs);
  const low = measured(lowNs, boundNs);
  const high = measured(highNs, boundNs);
  if (low.unit !== high.unit || low.value === high.value) return measuredText(highNs, boundNs);
  return `${low.value}${NBSP}…${NBSP}${high.value} ±${NBSP}${high.bound}${NBSP}${high.unit}`;
}
