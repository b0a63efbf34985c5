// Where the parts of the graph stand, in pixels: one column of plots over one time axis.
import type { Graph, Point } from "@angbu/shared/client";
import { roundUp, scale } from "./axis";

export const HEIGHT = { marks: 30, offset: 200, strip: 20, delay: 60, axis: 20 } as const;
const GAP = { strip: 14, delay: 32 } as const;

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly offsetTop: number;
  readonly stripTop: number;
  readonly delayTop: number;
  readonly axisTop: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly x: (atMs: number) => number;
}

/** `axes` is one line of labels for the reader's zone and one for UTC, or one for both where they are the same. */
export function layout(width: number, axes: 1 | 2, fromMs: number, toMs: number): Layout {
  const left = width < 500 ? 44 : 56;
  const right = width - 8;
  const offsetTop = HEIGHT.marks;
  const stripTop = offsetTop + HEIGHT.offset + GAP.strip;
  const delayTop = stripTop + HEIGHT.strip + GAP.delay;
  const axisTop = delayTop + HEIGHT.delay + 4;
  return {
    width,
    height: axisTop + axes * HEIGHT.axis + 4,
    left,
    right,
    offsetTop,
    stripTop,
    delayTop,
    axisTop,
    fromMs,
    toMs,
    x: scale([fromMs, toMs], [left, right]),
  };
}

export type ScaleName = "tolerance" | "data";

/** Half the height of the offset axis: the tolerance with some air, or what the data needs. */
export function offsetLimit(graph: Graph, chosen: ScaleName): number {
  if (chosen === "tolerance") return graph.tolerance_ns * 1.4;
  const reach = Math.max(0, ...graph.points.map(reachOf));
  return reach > 0 ? reach * 1.15 : graph.tolerance_ns * 1.4;
}

/** The top of the delay axis: a round value over everything that was measured. */
export function delayTop(points: readonly Point[]): number {
  const most = Math.max(0, ...points.map((point) => point.delay_ns));
  return most <= 0 ? 1e6 : roundUp(most);
}

function reachOf(point: Point): number {
  return Math.max(Math.abs(point.offset_min_ns), Math.abs(point.offset_max_ns)) + point.bound_ns;
}
