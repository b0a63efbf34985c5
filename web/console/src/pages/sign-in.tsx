import type { ComponentChildren, JSX, TargetedSubmitEvent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { answer, api, Refused, type RequestShown, type Session } from "@angbu/shared/client";
import { Frame } from "../frame";
import { Field } from "../parts/field";
import { Notice, Refusal } from "../parts/refusal";
import { useTitle } from "../parts/title";
import { Answer, useShown } from "../request/answer";
import { useSpeech } from "../words";

/** What the centre asks of a password; it checks again. */
const SHORTEST = 12;

/** The console's own sign-in is a request like any other: a passkey, or a password and whatever must come beside it. */
export function SignIn(props: {
  /** A session was there and has ended. */
  readonly ended: boolean;
  readonly entered: (session: Session, typed: string | undefined) => Promise<void>;
}): JSX.Element {
  const { words } = useSpeech();
  const typed = useRef<string | undefined>(undefined);
  const [refused, setRefused] = useState<Refused>();
  const current = useRef<string | undefined>(undefined);
  const begin = async (): Promise<RequestShown> => {
    const begun = await answer(api.POST("/api/v1/session/request"));
    current.current = begun.id;
    return begun;
  };
  // A request that has ended is followed by the next one: nobody is told that nothing happened, and what was typed stays.
  const again = async (): Promise<RequestShown> => {
    const path = { request: current.current ?? "" };
    const found = await answer(api.GET("/api/v1/requests/{request}/shown", { params: { path } })).catch((error: unknown) => {
      if (error instanceof Refused && error.problem.status >= 400 && error.problem.status < 500) return undefined;
      throw error;
    });
    return found !== undefined && found.verdict == null ? found : begin();
  };
  const request = useShown(begin, again);
  const { shown, ask } = request;
  useEffect(() => {
    if (shown === undefined || shown.verdict != null) return;
    const timer = window.setTimeout(ask, shown.seconds_left * 1_000);
    return () => window.clearTimeout(timer);
  }, [shown, ask]);
  useTitle(words.signIn);

  const changed = async (next: RequestShown): Promise<void> => {
    if (next.verdict !== "accepted") return request.changed(next);
    setRefused(undefined);
    try {
      const path = { request: next.id };
      await props.entered(await answer(api.POST("/api/v1/requests/{request}/session", { params: { path } })), typed.current);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
      request.ask();
    }
  };
  const wrong = refused ?? request.refused;
  return (
    <Narrow>
      <h1>{words.signInFirst}</h1>
      {props.ended && wrong === undefined && (
        <Notice kind="empty">
          <p>{words["problem.not-signed-in"]}</p>
        </Notice>
      )}
      {wrong !== undefined && <Refusal refused={wrong} again={request.ask} />}
      {shown !== undefined && shown.verdict == null && (
        <Answer shown={shown} named={words.name} changed={(next) => void changed(next)} ended={ask} typed={(password) => (typed.current = password)} />
      )}
      {shown?.verdict != null && shown.verdict !== "accepted" && (
        <>
          <Notice kind="refused">
            <p>{words[`ended.${shown.verdict}`]}</p>
          </Notice>
          <button type="button" class="primary" onClick={request.ask}>
            {words.again}
          </button>
        </>
      )}
      <p class="soft">{words.signInHint}</p>
    </Narrow>
  );
}

export function ChangePassword(props: {
  /** The one-time password, where it was typed just before: it need not be typed again. */
  readonly typed: string | undefined;
  readonly entered: () => Promise<void>;
}): JSX.Element {
  const { words } = useSpeech();
  const [refused, setRefused] = useState<Refused>();
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);
  useTitle(words.passwordSet);

  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const old = props.typed ?? String(form.get("old"));
    const fresh = String(form.get("new"));
    setRefused(undefined);
    const mistake =
      [...fresh].length < SHORTEST
        ? words.passwordShort
        : fresh !== form.get("repeat")
          ? words.passwordDiffers
          : fresh === old
            ? words.passwordSame
            : undefined;
    setWrong(mistake);
    if (mistake !== undefined) return;
    setBusy(true);
    try {
      await answer(api.POST("/api/v1/session/password", { body: { old, new: fresh } }));
      await props.entered();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
      setBusy(false);
    }
  };

  return (
    <Narrow>
      <h1>{words.passwordFirst}</h1>
      <p>{words.passwordWhy}</p>
      <form onSubmit={(event) => void submit(event)}>
        {props.typed === undefined && (
          <Field label={words.passwordOld} name="old" type="password" autocomplete="current-password" />
        )}
        <Field label={words.passwordNew} hint={words.passwordRule} name="new" type="password" autocomplete="new-password" focus />
        <Field label={words.passwordRepeat} name="repeat" type="password" autocomplete="new-password" />
        {wrong !== undefined && (
          <Notice kind="refused">
            <p>{wrong}</p>
          </Notice>
        )}
        {refused !== undefined && <Refusal refused={refused} />}
        <button type="submit" class="primary" disabled={busy}>
          {words.passwordSet}
        </button>
      </form>
    </Narrow>
  );
}

function Narrow(props: { readonly children: ComponentChildren }): JSX.Element {
  return (
    <Frame>
      <div class="narrow">{props.children}</div>
    </Frame>
  );
}
