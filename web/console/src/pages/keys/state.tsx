// How a token stands and what came of a try: marks that differ in form, with the word beside them.
import type { JSX } from "preact";
import type { KeyToken } from "@angbu/shared/client";
import { coded, type Words, useSpeech } from "../../words";

/** A disc, a lock, a crossed disc, an empty ring. */
const STATES: Readonly<Record<string, string>> = {
  good: "M7 1.5a5.5 5.5 0 1 0 .01 0z",
  locked: "M3 6.5h8v6H3zM4.5 6.5V4.5a2.5 2.5 0 0 1 5 0v2",
  disabled: "M7 1.5a5.5 5.5 0 1 0 .01 0zM3.2 3.2l7.6 7.6",
  revoked: "M7 2.5a4.5 4.5 0 1 0 .01 0z",
};

export function TokenState({ state }: { readonly state: string }): JSX.Element {
  const { words } = useSpeech();
  return (
    <span class={`key-mark is-${state}`}>
      <svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" focusable="false">
        <path d={STATES[state]} />
      </svg>
      {coded(words, "keyState", state)}
    </span>
  );
}

/** A tick or a cross, and the word. */
export function TryMark({ ok, children }: { readonly ok: boolean; readonly children: string }): JSX.Element {
  return (
    <span class={`key-mark ${ok ? "is-held" : "is-refused"}`}>
      <svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" focusable="false">
        <path d={ok ? "M1.5 7.5l4 4 7-9" : "M2.5 2.5l9 9M11.5 2.5l-9 9"} />
      </svg>
      {children}
    </span>
  );
}

/** What moves a token's keys on, in words. */
export function motionText(words: Words, token: Pick<KeyToken, "kind" | "cycle_time">): string {
  const cycle = token.cycle_time == null ? "" : `${token.cycle_time} s`;
  switch (token.kind) {
    case "time-event":
      return words["keyKind.time-event"]({ cycle });
    case "counter":
      return words["keyKind.counter"];
    default:
      return words["keyKind.time"]({ cycle });
  }
}
