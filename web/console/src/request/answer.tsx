// Answering a request: a passkey first, then what its combinations want. The login page and the console's own sign-in
// both stand on this.
import type { JSX, TargetedSubmitEvent } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { answer, api, Refused, type RequestMethod, type RequestShown, UNREACHABLE } from "@angbu/shared/client";
import { span } from "../format";
import { Field } from "../parts/field";
import { Notice, Refusal } from "../parts/refusal";
import { useSpeech } from "../words";
import { hasPasskeys, PasskeyStopped, usePasskey } from "./webauthn";

/** Methods that are typed, in the order in which they are asked for. */
const TYPED: readonly RequestMethod[] = ["password", "keys"];

export function Answer(props: {
  readonly shown: RequestShown;
  /** What the login id is called here. */
  readonly named: string;
  readonly changed: (shown: RequestShown) => void;
  /** It has ended already. */
  readonly ended: () => void;
  /** A password that was right, for whoever has to change it next. */
  readonly typed?: (password: string) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { shown, changed } = props;
  const [wrong, setWrong] = useState<string>();
  const [refused, setRefused] = useState<Refused>();
  const [busy, setBusy] = useState<RequestMethod>();
  const [name, setName] = useState(shown.login_id ?? "");
  const typed = TYPED.filter((each) => shown.next.includes(each));
  const [wanted, setWanted] = useState<RequestMethod>();
  const method = wanted !== undefined && typed.includes(wanted) ? wanted : typed[0];
  const path = { request: shown.id };

  const attempt = async (by: RequestMethod, run: () => Promise<RequestShown>): Promise<void> => {
    setBusy(by);
    setRefused(undefined);
    setWrong(undefined);
    try {
      changed(await run());
    } catch (error) {
      if (error instanceof PasskeyStopped) setWrong(words.passkeyStopped);
      else if (error instanceof Refused) {
        setRefused(error);
        if (error.kind === "request-ended") props.ended();
      } else throw error;
    } finally {
      setBusy(undefined);
    }
  };
  /** What came of an answer; a wrong one says how many more there may be. */
  const judged = (answered: { readonly right: boolean; readonly shown: RequestShown }, text: string): RequestShown => {
    if (!answered.right && answered.shown.verdict == null) setWrong(`${text} ${words.triesLeft({ count: answered.shown.tries_left })}`);
    return answered.shown;
  };

  const byPasskey = (): Promise<void> =>
    attempt("passkey", async () => {
      const question = await answer(api.POST("/api/v1/requests/{request}/answers/passkey/begin", { params: { path } }));
      const body = await usePasskey(question);
      return judged(await answer(api.POST("/api/v1/requests/{request}/answers/passkey/finish", { params: { path }, body })), words.passkeyWrong);
    });

  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const field = event.currentTarget;
    const login_id = form.has("name") ? String(form.get("name")).trim() : name;
    setName(login_id);
    const who = shown.login_id == null && shown.done.length === 0 ? { login_id } : {};
    return attempt(method ?? "keys", async () => {
      if (method === "password") {
        const password = String(form.get("password"));
        const body = { ...who, password };
        const answered = await answer(api.POST("/api/v1/requests/{request}/answers/password", { params: { path }, body }));
        if (answered.right) props.typed?.(password);
        return judged(answered, words["problem.wrong-password"]);
      }
      // Keys are shown in groups, and people type what they see.
      const body = { ...who, ota_key: String(form.get("ota_key")).replace(/[\s-]/g, "") };
      const answered = await answer(api.POST("/api/v1/requests/{request}/answers/keys", { params: { path }, body }));
      if (!answered.right) field.reset();
      return judged(answered, words.keyWrong);
    });
  };

  const offersPasskey = shown.next.includes("passkey") && hasPasskeys();
  // Only where it stands for what is asked for now, and not where both are wanted together.
  const other = typed.find((each) => shown.methods.some((all) => all.includes(each) && (method === undefined || !all.includes(method))));
  const agrees = shown.purpose === "signature";
  return (
    <>
      {shown.done.includes("password") && (
        <Notice kind="done">
          <p>{words.passwordRight}</p>
        </Notice>
      )}
      {wrong !== undefined && (
        <Notice kind="refused">
          <p>{wrong}</p>
        </Notice>
      )}
      {refused !== undefined && <Refusal refused={refused} />}
      {offersPasskey && (
        <button type="button" class="primary" disabled={busy !== undefined} onClick={() => void byPasskey()}>
          {busy === "passkey" ? words.passkeyWaiting : agrees ? words.passkeyAgree : words.passkeyUse}
        </button>
      )}
      {offersPasskey && method !== undefined && <p class="or">{words.or}</p>}
      {method !== undefined && (
        <form key={method} onSubmit={(event) => void submit(event)}>
          {shown.login_id == null && shown.done.length === 0 && (
            <Field label={props.named} name="name" autocomplete="username" value={name} focus={!offersPasskey} />
          )}
          {method === "password" ? (
            <Field label={words.password} name="password" type="password" autocomplete="current-password" focus={shown.login_id != null && !offersPasskey} />
          ) : (
            <Field label={words.oneTimeKey} hint={words.oneTimeKeyHint} name="ota_key" type="digits" autocomplete="one-time-code" focus={shown.done.length > 0 || (shown.login_id != null && !offersPasskey)} />
          )}
          <button type="submit" class={offersPasskey ? "" : "primary"} disabled={busy !== undefined}>
            {agrees ? words.agree : words.signIn}
          </button>
        </form>
      )}
      {other !== undefined && (
        <p>
          <button type="button" class="quiet" onClick={() => setWanted(other)}>
            {other === "password" ? words.insteadPassword : words.insteadKey}
          </button>
        </p>
      )}
      {!offersPasskey && method === undefined && (
        <Notice kind="refused">
          <p>{words.passkeysNone}</p>
        </Notice>
      )}
    </>
  );
}

/** How long a request can still be answered, and asks again once that is over. */
export function TimeLeft({ shown, over }: { readonly shown: RequestShown; readonly over: () => void }): JSX.Element {
  const { words, language } = useSpeech();
  const [left, setLeft] = useState(shown.seconds_left);
  const asked = useRef(over);
  asked.current = over;
  useEffect(() => {
    const end = performance.now() + shown.seconds_left * 1_000;
    const tick = (): void => {
      const now = Math.max(0, Math.ceil((end - performance.now()) / 1_000));
      setLeft(now);
      if (now === 0) asked.current();
    };
    tick();
    const timer = window.setInterval(tick, 1_000);
    return () => window.clearInterval(timer);
  }, [shown]);
  // Announced by nothing: a listener would hear a second hand.
  return <p class="soft time-left">{words.timeLeft({ span: span(left * 1_000, language) })}</p>;
}

/** Asks for a request until something answers; what the network swallows is asked again. */
export function useShown(first: () => Promise<RequestShown>, again: () => Promise<RequestShown>): {
  readonly shown: RequestShown | undefined;
  readonly refused: Refused | undefined;
  readonly changed: (shown: RequestShown) => void;
  readonly ask: () => void;
} {
  const [shown, setShown] = useState<RequestShown>();
  const [refused, setRefused] = useState<Refused>();
  const calls = useRef({ first, again, begun: false, timer: 0 });
  calls.current = { ...calls.current, first, again };
  const ask = useCallback(async () => {
    window.clearTimeout(calls.current.timer);
    try {
      const call = calls.current.begun ? calls.current.again : calls.current.first;
      const found = await call();
      calls.current.begun = true;
      setRefused(undefined);
      setShown(found);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
      if (error.kind === UNREACHABLE || error.problem.status >= 500) calls.current.timer = window.setTimeout(() => void ask(), 3_000);
    }
  }, []);
  useEffect(() => {
    void ask();
    const back = (): void => {
      if (document.visibilityState === "visible") void ask();
    };
    document.addEventListener("visibilitychange", back);
    window.addEventListener("online", back);
    return () => {
      window.clearTimeout(calls.current.timer);
      document.removeEventListener("visibilitychange", back);
      window.removeEventListener("online", back);
    };
  }, [ask]);
  const changed = useCallback((next: RequestShown) => setShown(next), []);
  const asking = useCallback(() => void ask(), [ask]);
  return { shown, refused, changed, ask: asking };
}
