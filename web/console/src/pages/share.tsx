// The page of a share link. It asks nothing until its reader does: what mail scanners and previews open is no view.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { answer, Refused, type Shared, stranger } from "@angbu/shared/client";
import { verifyReport } from "../commands";
import { Copyable } from "../parts/copy";
import { Gnomon } from "../parts/mark";
import { customerPeriodSentence, PeriodOfCustomer } from "../parts/period-of-customer";
import { Notice, Refusal } from "../parts/refusal";
import { save } from "../parts/save";
import { useTitle } from "../parts/title";
import { When } from "../parts/when";
import { useSpeech } from "../words";
import { sizeText } from "./parties/sharing";

type State =
  | { readonly name: "closed" | "asking" }
  | { readonly name: "open"; readonly shared: Shared }
  | { readonly name: "refused"; readonly refused: Refused };

export function SharePage({ token }: { readonly token: string }): JSX.Element {
  const { words, language } = useSpeech();
  const [state, setState] = useState<State>({ name: "closed" });
  useTitle(words.sharedTitle);
  useEffect(() => {
    // What has the link's address must not land in an index, whoever keeps a copy of the page.
    const robots = Object.assign(document.createElement("meta"), { name: "robots", content: "noindex, nofollow" });
    document.head.append(robots);
    return () => robots.remove();
  }, []);

  const open = async (): Promise<void> => {
    setState({ name: "asking" });
    try {
      setState({ name: "open", shared: await answer(stranger.POST("/api/v1/shared", { body: { token } })) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setState({ name: "refused", refused: error });
    }
  };
  if (state.name === "open") {
    const { shared } = state;
    return (
      <>
        <p class="kicker">{shared.periods.customer}</p>
        <h1>{customerPeriodSentence(words, language, shared.periods)}</h1>
        <PeriodOfCustomer of={shared.periods} tools={<SharedReport token={token} shared={shared} />} />
        <p class="soft">
          {words.sharedEnds} <When at={shared.expires_at} digits={0} />
        </p>
      </>
    );
  }
  if (state.name === "refused" && state.refused.problem.status === 404) {
    return (
      <>
        <h1>{words.sharedGone}</h1>
        <p class="lead">{words.sharedGoneNext}</p>
      </>
    );
  }
  return (
    <div class="shared-door">
      <Gnomon size={44} />
      <h1>{words.sharedAsk}</h1>
      <p class="lead">{words.sharedAskWhat}</p>
      <button type="button" class="primary" disabled={state.name === "asking"} onClick={() => void open()}>
        {state.name === "asking" ? words.loading : words.sharedOpen}
      </button>
      {state.name === "refused" && <Refusal refused={state.refused} again={() => void open()} />}
    </div>
  );
}

function SharedReport({ token, shared }: { readonly token: string; readonly shared: Shared }): JSX.Element | null {
  const { words } = useSpeech();
  const [refused, setRefused] = useState<Refused>();
  const { report } = shared;
  if (report == null || report.size === 0) return null;
  const fetched = async (): Promise<void> => {
    setRefused(undefined);
    try {
      const file = await answer(stranger.POST("/api/v1/shared/report", { body: { token }, parseAs: "blob" }));
      save(file as unknown as Blob, report.file_name);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    }
  };
  return (
    <div class="report">
      <button type="button" class="primary" onClick={() => void fetched()}>
        {words.saveReport}
      </button>
      <Notice kind="empty">
        <p>{words.reportFrom({ when: report.made_at.slice(0, 16).replace("T", " ") + " UTC", size: sizeText(report.size) })}</p>
        <Copyable text={verifyReport(report.file_name, shared.log_keys[0] ?? "")} />
      </Notice>
      {refused !== undefined && <Refusal refused={refused} again={() => void fetched()} />}
    </div>
  );
}
