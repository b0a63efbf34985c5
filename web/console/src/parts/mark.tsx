// The mark of Angbu, and the three marks of a verdict, which differ in form and not by colour alone.
import type { JSX } from "preact";
import type { Mark as Happening, Verdict } from "@angbu/shared/client";

/** A gnomon and its shadow line. */
export function Gnomon(props: { readonly size: number }): JSX.Element {
  return (
    <svg class="gnomon" viewBox="0 0 32 32" width={props.size} height={props.size} aria-hidden="true" focusable="false">
      <path class="gnomon-blade" d="M17 3v20H4z" />
      <path class="gnomon-shadow" d="M17 23l12 6" />
    </svg>
  );
}

/** Solid, notched, or hatched. Decoration only: the word stands beside it. */
export function VerdictMark(props: { readonly verdict: Verdict; readonly size?: number }): JSX.Element {
  const size = props.size ?? 18;
  const shape = {
    within: <rect x="0.5" y="2.5" width="17" height="9" />,
    outside: <path d="M0.5 2.5h17v9h-1.75l-2-4.5-2 4.5h-1.5l-2-4.5-2 4.5h-1.5l-2-4.5-1.25 4.5h-1z" />,
    "not-proven": (
      <>
        <rect class="hatch-ground" x="1" y="3" width="16" height="8" />
        <path class="hatch-line" d="M1 7.5L5.5 3M2 11l8-8M7 11l8-8M12 11l5-5" />
      </>
    ),
  }[props.verdict];
  return (
    <svg
      class={`verdict-mark is-${props.verdict}`}
      viewBox="0 0 18 14"
      width={size}
      height={(size * 14) / 18}
      aria-hidden="true"
      focusable="false"
    >
      {shape}
    </svg>
  );
}

/** What happened to an agent: a start points on, a stop is a square, a moved clock a diamond, a loss a ring, a pause two bars. */
export function HappeningMark(props: { readonly kind: Happening["kind"]; readonly x: number; readonly y: number }): JSX.Element {
  const { kind, x, y } = props;
  const path = {
    start: `M${x - 4} ${y - 5}l9 5l-9 5z`,
    stop: `M${x - 4.5} ${y - 4.5}h9v9h-9z`,
    alarm: `M${x} ${y - 7}l7 7l-7 7l-7-7z`,
    dropped: `M${x - 4.5} ${y}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0`,
    pause: `M${x - 4} ${y - 4.5}h3v9h-3zM${x + 1} ${y - 4.5}h3v9h-3z`,
  }[kind];
  return (
    <g class={`happening is-${kind}`}>
      <path d={path} />
      {kind === "alarm" && <path class="happening-point" d={`M${x} ${y - 3.5}v4M${x} ${y + 2.6}v1`} />}
    </g>
  );
}
