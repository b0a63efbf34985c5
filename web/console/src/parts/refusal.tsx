// What failed, why, and what to do, in the reader's language.
import type { ComponentChildren, JSX } from "preact";
import { Refused } from "@angbu/shared/client";
import { span } from "../format";
import { coded, type Language, useSpeech, type Words } from "../words";

export function refusalText(words: Words, language: Language, refused: Refused): string {
  const { problem, kind } = refused;
  if (kind === "throttled") {
    return words["problem.throttled"]({ wait: span((problem.retry_after_s ?? 60) * 1000, language) });
  }
  const translated = coded(words, "problem", kind);
  if (translated !== kind) return translated;
  const title = words.problemOther({ status: problem.status, title: problem.title });
  return problem.detail === undefined ? title : `${title} ${problem.detail}`;
}

export function Refusal(props: { readonly refused: Refused; readonly again?: () => void }): JSX.Element {
  const { words, language } = useSpeech();
  return (
    <Notice kind="refused">
      <p>{refusalText(words, language, props.refused)}</p>
      {props.again !== undefined && (
        <button type="button" onClick={props.again}>
          {words.again}
        </button>
      )}
    </Notice>
  );
}

export function Notice(props: { readonly kind: "refused" | "empty" | "done"; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class={`notice is-${props.kind}`} role={props.kind === "refused" ? "alert" : "status"}>
      {props.children}
    </div>
  );
}
