// The page that an application sends a browser to, at /login/ID#secret: who asks, for what, and the ways to answer.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { answer, api, Refused, type RequestShown } from "@angbu/shared/client";
import { Gnomon } from "../parts/mark";
import { Notice, Refusal } from "../parts/refusal";
import { useTitle } from "../parts/title";
import { Answer, TimeLeft, useShown } from "../request/answer";
import { useSpeech } from "../words";

export function LoginPage({ request }: { readonly request: string }): JSX.Element {
  const { words } = useSpeech();
  const path = { request };
  const again = (): Promise<RequestShown> => answer(api.GET("/api/v1/requests/{request}/shown", { params: { path } }));
  // The address's secret opens the request in this browser, once; from then on its cookie does, after a reload too.
  const open = async (): Promise<RequestShown> => {
    const secret = window.location.hash.slice(1);
    if (secret === "") return again();
    try {
      const shown = await answer(api.POST("/api/v1/requests/{request}/open", { params: { path }, body: { secret } }));
      window.history.replaceState(null, "", window.location.pathname + window.location.search);
      return shown;
    } catch (error) {
      // Opened before the answer was lost: then this browser has the cookie.
      if (error instanceof Refused && error.problem.status !== 0 && error.problem.status < 500) return again().catch(() => Promise.reject(error));
      throw error;
    }
  };
  const { shown, refused, changed, ask } = useShown(open, again);
  useTitle(words.loginTitle);
  if (shown === undefined) return <Door>{refused === undefined ? <h1>{words.loading}</h1> : <NotOpen refused={refused} again={ask} />}</Door>;
  if (shown.verdict != null) return <Door><Ended shown={shown} /></Door>;
  return (
    <Door>
      <Asked shown={shown} />
      {refused !== undefined && <Refusal refused={refused} again={ask} />}
      <Answer shown={shown} named={words.loginId} changed={changed} ended={ask} />
      <TimeLeft shown={shown} over={ask} />
      <Cancel request={request} changed={changed} />
    </Door>
  );
}

function Door(props: { readonly children: JSX.Element | (JSX.Element | false)[] }): JSX.Element {
  return (
    <div class="narrow login">
      <Gnomon size={40} />
      {props.children}
    </div>
  );
}

/** Who asks, and for what. What the relying party wrote is text, whatever it looks like. */
function Asked({ shown }: { readonly shown: RequestShown }): JSX.Element {
  const { words } = useSpeech();
  const asks = { who: shown.relying_party };
  return (
    <>
      <p class="kicker">{shown.purpose === "signature" ? words.asksToAgree(asks) : words.asksToSignIn(asks)}</p>
      <h1>{shown.title}</h1>
      {shown.text !== "" && <p class="told">{shown.text}</p>}
      {shown.login_id != null && <p class="soft">{words.asksOf({ name: shown.login_id })}</p>}
    </>
  );
}

function NotOpen({ refused, again }: { readonly refused: Refused; readonly again: () => void }): JSX.Element {
  const { words } = useSpeech();
  const known = refused.problem.status === 404 || refused.problem.status === 403;
  return (
    <>
      <h1>{known ? words.loginUnknown : words.loginUnreached}</h1>
      {known ? <p>{words.loginUnknownNext}</p> : <Refusal refused={refused} again={again} />}
    </>
  );
}

function Ended({ shown }: { readonly shown: RequestShown }): JSX.Element {
  const { words } = useSpeech();
  const back = shown.next_url ?? undefined;
  useEffect(() => {
    // Whoever signed in goes on by themself; whoever did not reads why first.
    if (shown.verdict === "accepted" && back !== undefined) window.location.replace(back);
  }, [shown.verdict, back]);
  const verdict = shown.verdict ?? "expired";
  return (
    <>
      <h1>{words[`ended.${verdict}`]}</h1>
      <Notice kind={verdict === "accepted" ? "done" : "empty"}>
        <p>{words[`endedNext.${verdict}`]({ who: shown.relying_party })}</p>
      </Notice>
      {back !== undefined && (
        <a class="button primary" href={back}>
          {words.goBackTo({ who: shown.relying_party })}
        </a>
      )}
    </>
  );
}

function Cancel({ request, changed }: { readonly request: string; readonly changed: (shown: RequestShown) => void }): JSX.Element {
  const { words } = useSpeech();
  const [refused, setRefused] = useState<Refused>();
  const cancel = async (): Promise<void> => {
    try {
      changed(await answer(api.POST("/api/v1/requests/{request}/cancel", { params: { path: { request } } })));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    }
  };
  return (
    <>
      <p>
        <button type="button" class="quiet" onClick={() => void cancel()}>
          {words.loginCancel}
        </button>
      </p>
      {refused !== undefined && <Refusal refused={refused} />}
    </>
  );
}
