import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { EntryPage as Entry } from "@angbu/shared/client";
import { count } from "../../format";
import { Copyable } from "../../parts/copy";
import { proofSteps, readCheckpoint, rootOf, type Step } from "../../proof";
import { useSpeech } from "../../words";

type Checked = "checking" | "same" | "differs" | "not-here";

/** The entry's way to the signed root, drawn, and computed again by this browser. */
export function ProofSection({ entry }: { readonly entry: Entry }): JSX.Element {
  const { words, language } = useSpeech();
  const head = readCheckpoint(entry.checkpoint);
  const steps = head === undefined ? undefined : proofSteps(entry.index, head.size, entry.path);
  const checked = useChecked(entry, steps, head?.root);
  return (
    <section>
      <h2>{words.proof}</h2>
      {head === undefined || steps === undefined ? (
        <p class="mistake">{words.proofUnreadable}</p>
      ) : (
        <>
          <p>{words.proofWhat({ steps: count(steps.length, language), size: count(head.size, language) })}</p>
          {checked !== "checking" && <p class={`checked is-${checked}`}>{words[`proof.${checked}`]}</p>}
          <ol class="proof">
            <li class="is-leaf">
              <PathMark />
              <div>
                {words.proofLeaf}
                <small>{words.proofIndex({ index: count(entry.index, language) })}</small>
              </div>
            </li>
            {steps.map((step) => (
              <li key={step.hash}>
                <PathMark step={step} size={head.size} />
                <div>
                  {words[`proofWith.${step.side}`]({ count: count(step.to - step.from, language) })}
                  <small>
                    {step.to - step.from === 1
                      ? words.proofIndex({ index: count(step.from, language) })
                      : words.proofRange({ from: count(step.from, language), to: count(step.to - 1, language) })}
                  </small>
                  <Copyable text={step.hash} />
                </div>
              </li>
            ))}
            <li class="is-root">
              <PathMark root />
              <div>
                {words.proofRoot({ size: count(head.size, language) })}
                <Copyable text={head.root} />
              </div>
            </li>
          </ol>
        </>
      )}
    </section>
  );
}

function useChecked(entry: Entry, steps: readonly Step[] | undefined, root: string | undefined): Checked {
  const [checked, setChecked] = useState<Checked>("checking");
  useEffect(() => {
    let left = false;
    // Browsers give their SHA-256 only to pages that came over HTTPS or from this machine.
    if (steps === undefined || root === undefined || !window.isSecureContext) {
      setChecked("not-here");
      return;
    }
    void rootOf(entry.text, steps).then(
      (found) => left || setChecked(found === root ? "same" : "differs"),
      () => left || setChecked("differs"),
    );
    return () => {
      left = true;
    };
  }, [entry, root]);
  return checked;
}

/** One step of the way up: the line is the entry's own subtree, the triangle the one that it is joined with. */
function PathMark(props: { readonly step?: Step; readonly size?: number; readonly root?: boolean }): JSX.Element {
  const { step } = props;
  if (props.root === true) {
    return (
      <svg class="path-mark" viewBox="0 0 72 48" width="72" height="48" aria-hidden="true">
        <path class="path-own" d="M36 0V16" />
        <rect class="path-root" x="27" y="14" width="18" height="18" />
      </svg>
    );
  }
  if (step === undefined) {
    return (
      <svg class="path-mark" viewBox="0 0 72 48" width="72" height="48" aria-hidden="true">
        <path class="path-own" d="M36 24V48" />
        <circle class="path-leaf" cx="36" cy="20" r="8" />
      </svg>
    );
  }
  // The more entries stand under it, the larger the triangle: from a leaf to the whole log.
  const share = Math.log2(step.to - step.from + 1) / Math.log2((props.size ?? 1) + 1);
  const half = 4 + 8 * share;
  const x = step.side === "left" ? 14 : 58;
  return (
    <svg class="path-mark is-step" viewBox="0 0 72 96" width="72" height="96" aria-hidden="true">
      <path class="path-own" d="M36 0V96" />
      <path class="path-join" d={`M${x} ${40 - half}Q${x} 62 36 66`} />
      <path class="path-other" d={`M${x} ${28 - half}L${x + half} ${28 + half}H${x - half}Z`} />
      <circle class="path-node" cx="36" cy="66" r="4.5" />
    </svg>
  );
}
