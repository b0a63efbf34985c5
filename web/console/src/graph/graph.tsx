// Offset, verdicts and delay of one agent over one period, with a cursor that a pointer or the keyboard moves.
import type { ComponentChildren, JSX, TargetedKeyboardEvent, TargetedPointerEvent } from "preact";
import { useId, useMemo, useRef, useState } from "preact/hooks";
import type { ClockVerdict, Graph } from "@angbu/shared/client";
import { duration, parseInstant } from "../format";
import { HappeningMark } from "../parts/mark";
import { useSpeech } from "../words";
import { zoneAheadMs } from "./axis";
import { HEIGHT, layout, type Layout, offsetLimit, type ScaleName } from "./layout";
import { Band, DelayPlot, Marks, OffsetPlot, Strip, TimeAxis } from "./plots";
import { Readout } from "./readout";
import { beyond, nearest, stops } from "./series";
import { useWidth } from "./width";

interface Cursor {
  readonly atMs: number;
  readonly by: "pointer" | "keys";
}

export function GraphFigure(props: {
  readonly graph: Graph;
  readonly agent: string;
  readonly shown: ScaleName;
  readonly busy: boolean;
  /** How well the centre knows its own time: the digits that an instant on the graph may show. */
  readonly boundNs: number;
  readonly reference: ClockVerdict;
}): JSX.Element {
  const { graph } = props;
  const { words, language } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [cursor, setCursor] = useState<Cursor>();
  const hatch = useId();
  const keys = useId();
  const fromMs = parseInstant(graph.from).ms;
  const toMs = parseInstant(graph.to).ms;
  const both = zoneAheadMs(toMs) !== 0;
  const at = useMemo(() => layout(width, both ? 2 : 1, fromMs, toMs), [width, both, fromMs, toMs]);
  const cursorStops = useMemo(() => stops(graph.points, graph.events), [graph]);

  const point = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    const frame = event.currentTarget.getBoundingClientRect();
    const x = ((event.clientX - frame.left) / frame.width) * at.width;
    const share = (x - at.left) / (at.right - at.left);
    const wanted = fromMs + Math.min(1, Math.max(0, share)) * (toMs - fromMs);
    setCursor({ atMs: snapped(cursorStops, wanted, at), by: "pointer" });
  };

  const press = (event: TargetedKeyboardEvent<SVGSVGElement>): void => {
    const next = moved(event.key, event.shiftKey, cursorStops, cursor?.atMs);
    if (next === undefined) return;
    event.preventDefault();
    setCursor(next === null ? undefined : { atMs: next, by: "keys" });
  };

  const cursorMs = cursor !== undefined && cursor.atMs >= fromMs && cursor.atMs <= toMs ? cursor.atMs : undefined;
  return (
    <figure class="graph" aria-busy={props.busy}>
      <Readout graph={graph} cursorMs={cursorMs} boundNs={props.boundNs} spoken={cursor?.by === "keys"} />
      <div ref={box} class="graph-box">
        {/* A box that is just being laid out, or paper, can be narrower than the axis; it is drawn once there is room. */}
        {at.right > at.left && (
          <svg
            viewBox={`0 0 ${at.width} ${at.height}`}
            role="application"
            aria-label={words.graphOf({ agent: props.agent })}
            aria-describedby={keys}
            tabIndex={0}
            onPointerMove={point}
            onPointerDown={point}
            onPointerLeave={(event) => event.pointerType === "mouse" && setCursor(undefined)}
            onKeyDown={press}
            onBlur={() => setCursor(undefined)}
          >
            <Hatch id={hatch} />
            <Band at={at} graph={graph} shown={props.shown} />
            <TimeAxis at={at} language={language} both={both} />
            <OffsetPlot at={at} graph={graph} words={words} shown={props.shown} />
            <DelayPlot at={at} graph={graph} words={words} />
            <Strip at={at} graph={graph} hatch={hatch} />
            <Marks at={at} graph={graph} />
            {cursorMs !== undefined && <CursorLine at={at} atMs={nearest(graph.points, cursorMs, 0)?.at_ms ?? cursorMs} />}
          </svg>
        )}
      </div>
      <Legend graph={graph} shown={props.shown} reference={props.reference} />
      <p id={keys} class="for-keys">
        {words.graphKeys}
      </p>
    </figure>
  );
}

/** What the drawing means, and what all of it was measured against. */
function Legend(props: { readonly graph: Graph; readonly shown: ScaleName; readonly reference: ClockVerdict }): JSX.Element {
  const { words } = useSpeech();
  const { graph } = props;
  const leaves = beyond(graph.points, offsetLimit(graph, props.shown), () => 0).length > 0;
  const kinds = [...new Set(graph.events.map((mark) => mark.kind))];
  return (
    <figcaption class="legend">
      <Key name={words.toleranceBand({ tolerance: duration(graph.tolerance_ns) })}>
        <rect class="band" x="0" y="1" width="18" height="12" />
        <path class="band-edge" d="M0 1.5h18M0 12.5h18" />
      </Key>
      <Key name={words.dataLine}>
        <path class="data" d="M1 9L6 5L11 8L17 4" />
      </Key>
      <Key name={words.boundBand}>
        <path class="bound" d="M0 3h18v8h-18z" />
      </Key>
      {leaves && (
        <Key name={words.beyond}>
          <path class="beyond" d="M9 3l4 7h-8z" />
        </Key>
      )}
      {kinds.map((kind) => (
        <Key key={kind} name={words[`mark.${kind}`]}>
          <HappeningMark kind={kind} x={9} y={7} />
        </Key>
      ))}
      <span class="legend-reference">{words[`caption.${props.reference}`]}</span>
    </figcaption>
  );
}

function Key(props: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <span class="legend-key">
      <svg viewBox="0 0 18 14" width="18" height="14" aria-hidden="true">
        {props.children}
      </svg>
      {props.name}
    </span>
  );
}

function CursorLine({ at, atMs }: { readonly at: Layout; readonly atMs: number }): JSX.Element {
  const x = Math.round(at.x(atMs)) + 0.5;
  return <line class="cursor" x1={x} x2={x} y1={at.offsetTop - 4} y2={at.delayTop + HEIGHT.delay} />;
}

/** The hatching of "not proven". */
export function Hatch({ id }: { readonly id: string }): JSX.Element {
  return (
    <defs>
      <pattern id={id} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <line class="hatch-line" x1="1" y1="0" x2="1" y2="6" />
      </pattern>
    </defs>
  );
}

/** The stop nearest to the pointer where one is near, else the pointer's own instant: a gap can be read too. */
function snapped(all: readonly number[], wantedMs: number, at: Layout): number {
  let best: number | undefined;
  for (const each of all) {
    if (best === undefined || Math.abs(each - wantedMs) < Math.abs(best - wantedMs)) best = each;
  }
  return best !== undefined && Math.abs(at.x(best) - at.x(wantedMs)) <= 12 ? best : Math.round(wantedMs);
}

/** Where a key takes the cursor; `null` puts it away, `undefined` leaves the key to the browser. */
export function moved(key: string, far: boolean, all: readonly number[], fromMs: number | undefined): number | null | undefined {
  if (key === "Escape") return fromMs === undefined ? undefined : null;
  const last = all.length - 1;
  if (last < 0) return undefined;
  const step = { ArrowLeft: far ? -10 : -1, ArrowRight: far ? 10 : 1, PageUp: -10, PageDown: 10 }[key];
  if (key === "Home") return all[0];
  if (key === "End") return all[last];
  if (step === undefined) return undefined;
  if (fromMs === undefined) return all[step < 0 ? last : 0];
  const after = all.findIndex((each) => each >= fromMs);
  const here = after === -1 ? last : after;
  return all[Math.min(last, Math.max(0, here + step))];
}
