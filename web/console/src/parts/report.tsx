import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, Refused } from "@angbu/shared/client";
import { verifyReport } from "../commands";
import { short } from "../period";
import { useSpeech } from "../words";
import { Copyable } from "./copy";
import { Notice, Refusal } from "./refusal";
import { save } from "./save";

type State =
  | { readonly name: "ready" | "making" }
  | { readonly name: "made"; readonly file: string }
  | { readonly name: "refused"; readonly refused: Refused };

/** Makes the report for the period shown, saves it, and says how a stranger checks it. */
export function ReportButton(props: {
  readonly customer: string;
  readonly bounds: () => readonly [number, number];
  readonly logKey: string;
}): JSX.Element {
  const { words, language } = useSpeech();
  const [state, setState] = useState<State>({ name: "ready" });

  const make = async (): Promise<void> => {
    setState({ name: "making" });
    const [from, to] = props.bounds();
    const body = { customer: props.customer, from: short(from), to: short(to), language };
    try {
      const text = await answer(api.POST("/api/v1/time/reports", { body, parseAs: "blob" }));
      const file = `angbu-${props.customer}-${fileInstant(from)}-${fileInstant(to)}.html`;
      save(text as unknown as Blob, file);
      setState({ name: "made", file });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setState({ name: "refused", refused: error });
    }
  };

  return (
    <div class="report">
      <button type="button" class="primary" disabled={state.name === "making"} onClick={() => void make()}>
        {state.name === "making" ? words.reportMaking : words.report}
      </button>
      {state.name === "made" && (
        <Notice kind="done">
          <p>{words.reportMade({ file: state.file })}</p>
          <Copyable text={verifyReport(state.file, props.logKey)} />
        </Notice>
      )}
      {state.name === "refused" && (
        <>
          <p class="mistake">{words.reportNotMade}</p>
          <Refusal refused={state.refused} again={() => void make()} />
        </>
      )}
    </div>
  );
}

/** "20260301T0930Z": sorts, and needs no quoting anywhere. */
function fileInstant(ms: number): string {
  return short(ms).replace(/[-:]/g, "").replace(/\.\d+/, "");
}
