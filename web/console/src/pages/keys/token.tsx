import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type KeyEnrolled, type KeyToken } from "@angbu/shared/client";
import { count, duration } from "../../format";
import { Fact } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { Sure } from "../../parts/sure";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { accountsPath, entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { useSpeech, type Words } from "../../words";
import { MissingPage } from "../missing";
import { CodesDialog, EnrolledDialog } from "./enrol";
import { motionText, TokenState } from "./state";
import { TriesTable } from "./tries";

type Asking = "unlock" | "renew" | "revoke" | "codes";

/** Can this person use this token, and how did it go so far? */
export function KeyTokenPage(props: { readonly token: string }): JSX.Element {
  const { words } = useSpeech();
  const path = { token: props.token };
  const loaded = useResource(props.token, () => answer(api.GET("/api/v1/keys/tokens/{token}", { params: { path } })));
  useTitle(words.keyToken);
  return (
    <Loaded of={loaded} missing={<MissingPage what={words.keyTokenMissing} />}>
      {(token) => <Shown token={token} reload={loaded.reload} />}
    </Loaded>
  );
}

function Shown({ token, reload }: { readonly token: KeyToken; readonly reload: () => void }): JSX.Element {
  const { words } = useSpeech();
  const [asking, setAsking] = useState<Asking>();
  const [enrolled, setEnrolled] = useState<KeyEnrolled>();
  const [codes, setCodes] = useState<readonly string[]>();
  const close = (): void => {
    setAsking(undefined);
    reload();
  };
  return (
    <>
      <h1>{first(words, token)}</h1>
      <Facts token={token} />
      <Actions token={token} ask={setAsking} />
      <Tries token={token} />
      {asking !== undefined && <Ask asking={asking} token={token} close={close} enrolled={setEnrolled} codes={setCodes} />}
      {enrolled !== undefined && <EnrolledDialog enrolled={enrolled} close={() => setEnrolled(undefined)} />}
      {codes !== undefined && <CodesDialog login_id={token.login_id} codes={codes} close={() => setCodes(undefined)} />}
    </>
  );
}

function first(words: Words, token: KeyToken): string {
  const said = { login_id: token.login_id, customer: token.customer ?? words.theSite };
  switch (token.state) {
    case "locked":
      return words["keyFirst.locked"](said);
    case "disabled":
      return words["keyFirst.disabled"](said);
    case "revoked":
      return words["keyFirst.revoked"](said);
    default:
      return words["keyFirst.good"](said);
  }
}

function Facts({ token }: { readonly token: KeyToken }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  const person = token.holder === "person" && may("people.read");
  const holder = person ? (
    <Link href={address(accountsPath("people", token.holder_id), { customer: token.customer ?? null })}>{token.login_id}</Link>
  ) : (
    token.login_id
  );
  return (
    <dl class="facts">
      <Fact name={words.keyHolder}>{holder}</Fact>
      <Fact name={words.state}>
        <TokenState state={token.state} />
        {token.locked_until != null && token.state === "locked" && (
          <>
            {" "}
            {words.keyLockedUntil} <When at={token.locked_until} digits={0} />
          </>
        )}
      </Fact>
      <Fact name={words.keyFailures}>{count(token.failures, language)}</Fact>
      <Fact name={words.keyMotion}>{motionText(words, token)}</Fact>
      <Fact name={words.keyDigits}>{words.keyDigitsOf({ digits: String(token.digits), algorithm: token.algorithm })}</Fact>
      {token.phone_no != null && token.phone_no !== "" && <Fact name={words.phone}>{token.phone_no}</Fact>}
      {token.kind !== "counter" && <Fact name={words.keyDrift}>{driftText(words, token.drift_ms)}</Fact>}
      {token.used_again > 0 && (
        <Fact name={words.keyUsedAgain}>
          {count(token.used_again, language)}
          {token.used_again_at != null && (
            <>
              {", "}
              <When at={token.used_again_at} digits={0} />
            </>
          )}
        </Fact>
      )}
      <Fact name={words.keyCodesLeft}>{count(token.recovery_codes_left, language)}</Fact>
      <Fact name={words.keyLastUsed}>{token.last_used_at == null ? words.keyNeverUsed : <When at={token.last_used_at} digits={0} />}</Fact>
      <Fact name={words.enrolledAt}>
        <When at={token.enrolled_at} digits={0} />
        {token.origin === "imported" && ` · ${words.keyImported}`}
      </Fact>
      <Fact name={words.entry}>
        {may("evidence.read") ? (
          <Link href={address(entryPath(token.entry))}>
            <code>{token.entry}</code>
          </Link>
        ) : (
          <code>{token.entry}</code>
        )}
      </Fact>
    </dl>
  );
}

/** "2 s ahead", "4 s behind": as far as it was seen from the keys that were typed. */
function driftText(words: Words, ms: number): string {
  if (Math.abs(ms) < 500) return words.keyDriftNone;
  const said = { length: duration(Math.abs(ms) * 1e6) };
  return ms > 0 ? words.keyDriftAhead(said) : words.keyDriftBehind(said);
}

function Actions({ token, ask }: { readonly token: KeyToken; readonly ask: (asking: Asking) => void }): JSX.Element | null {
  const { words } = useSpeech();
  const may = useMay();
  if (!may("keys.manage") || token.state === "revoked") return null;
  return (
    <div class="actions">
      {token.state !== "good" && (
        <button type="button" class="primary" onClick={() => ask("unlock")}>
          {words.keyUnlock}
        </button>
      )}
      <button type="button" onClick={() => ask("codes")}>
        {words.keyCodes}
      </button>
      <button type="button" onClick={() => ask("renew")}>
        {words.keyRenew}
      </button>
      <button type="button" class="danger" onClick={() => ask("revoke")}>
        {words.revoke}
      </button>
    </div>
  );
}

function Ask(props: {
  readonly asking: Asking;
  readonly token: KeyToken;
  readonly close: () => void;
  readonly enrolled: (enrolled: KeyEnrolled) => void;
  readonly codes: (codes: readonly string[]) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { token } = props;
  const params = { path: { token: token.id } };
  const said = { login_id: token.login_id };
  const ways: Readonly<Record<Asking, { title: string; action: string; what: ComponentChildren; run: () => Promise<void> }>> = {
    unlock: {
      title: words.keyUnlockOne(said),
      action: words.keyUnlock,
      what: words.keyUnlockWhat,
      run: async () => void (await answer(api.POST("/api/v1/keys/tokens/{token}/unlock", { params }))),
    },
    renew: {
      title: words.keyRenewOne(said),
      action: words.keyRenew,
      what: words.keyRenewWhat,
      run: async () => props.enrolled(await answer(api.POST("/api/v1/keys/tokens/{token}/renew", { params }))),
    },
    revoke: {
      title: words.keyRevokeOne(said),
      action: words.revoke,
      what: words.keyRevokeWhat,
      run: async () => void (await answer(api.POST("/api/v1/keys/tokens/{token}/revoke", { params }))),
    },
    codes: {
      title: words.keyCodesOne(said),
      action: words.keyCodes,
      what: words.keyCodesBefore,
      run: async () => props.codes((await answer(api.POST("/api/v1/keys/tokens/{token}/recovery-codes", { params }))).codes),
    },
  };
  const way = ways[props.asking];
  return (
    <Sure title={way.title} action={way.action} close={props.close} run={way.run}>
      {way.what}
    </Sure>
  );
}

function Tries({ token }: { readonly token: KeyToken }): JSX.Element {
  const { words } = useSpeech();
  const list = useResource(`tries ${token.id} ${token.failures}`, () =>
    answer(api.GET("/api/v1/keys/tries", { params: { query: { ...(token.customer == null ? {} : { customer: token.customer }), token: token.id } } })),
  );
  return (
    <section>
      <h2>{words.keyTriesOf}</h2>
      <Loaded of={list}>{({ tries }) => (tries.length === 0 ? <p>{words.keyTriesNone}</p> : <TriesTable tries={tries} named={false} />)}</Loaded>
    </section>
  );
}
