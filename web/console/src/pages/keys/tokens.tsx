import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type KeyEnrolled, type KeyToken } from "@angbu/shared/client";
import { count } from "../../format";
import { type About, AboutCustomer } from "../../parts/about-customer";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Paging } from "../../parts/paging";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { keysPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { useSpeech, type Words } from "../../words";
import { Enrol, EnrolledDialog } from "./enrol";
import { motionText, TokenState } from "./state";

/** Who of a customer holds a token, and can it be used? */
export function KeyTokensPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words.keyTokens);
  return (
    <AboutCustomer path={keysPath("tokens")} one>
      {(about) => (about.customer === undefined ? <h1>{words.noCustomers}</h1> : <Tokens about={about} customer={about.customer} />)}
    </AboutCustomer>
  );
}

function Tokens({ about, customer }: { readonly about: About; readonly customer: string }): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address, go } = useRouter();
  const may = useMay();
  const [enrolling, setEnrolling] = useState(false);
  const [enrolled, setEnrolled] = useState<KeyEnrolled>();
  const after = query.get("after") ?? undefined;
  const login_id = query.get("login_id") ?? undefined;
  const list = useResource(`${customer} ${login_id} ${after}`, () =>
    answer(api.GET("/api/v1/keys/tokens", { params: { query: { customer, login_id, after } } })),
  );
  return (
    <Loaded of={list}>
      {({ tokens, next }) => (
        <>
          <h1>{first(words, language, customer, tokens, login_id, next != null || after !== undefined)}</h1>
          <div class="filters">
            {about.chooser}
            <Search customer={customer} asked={login_id} />
            {may("keys.manage") && (
              <button type="button" onClick={() => setEnrolling(true)}>
                {words.keyEnrol}
              </button>
            )}
          </div>
          {tokens.length === 0 ? <p>{login_id === undefined ? words.keyTokensNext : words.keyTokensNobody}</p> : <Table tokens={tokens} customer={customer} />}
          <Paging
            path={keysPath("tokens")}
            query={{ customer, ...(login_id === undefined ? {} : { login_id }) }}
            by="after"
            next={next}
            onward={words.onward}
            start={words.fromStart}
          />
          {enrolling && (
            <Enrol
              customer={customer}
              close={() => setEnrolling(false)}
              done={(made) => {
                setEnrolling(false);
                setEnrolled(made);
              }}
            />
          )}
          {enrolled !== undefined && (
            <EnrolledDialog enrolled={enrolled} close={() => go(address(keysPath("tokens", enrolled.token.id), { customer }))} />
          )}
        </>
      )}
    </Loaded>
  );
}

/** "24 people of hanbit hold a token: 22 good, 1 locked, 1 disabled." */
function first(words: Words, language: string, customer: string, tokens: readonly KeyToken[], asked: string | undefined, more: boolean): string {
  if (asked !== undefined) return words.keyTokensOf({ login_id: asked, customer, count: count(tokens.length, language) });
  if (tokens.length === 0) return words.keyTokensNone({ customer });
  const states = (["good", "locked", "disabled", "revoked"] as const)
    .map((state) => ({ state, of: tokens.filter((token) => token.state === state).length }))
    .filter(({ of }) => of > 0)
    .map(({ state, of }) => words[`keyCount.${state}`]({ count: count(of, language) }))
    .join(", ");
  const said = { customer, count: count(tokens.length, language), states };
  return more ? words.keyTokensSome(said) : words.keyTokensFirst(said);
}

function Search({ customer, asked }: { readonly customer: string; readonly asked: string | undefined }): JSX.Element {
  const { words } = useSpeech();
  const { address, go } = useRouter();
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = String(new FormData(event.currentTarget).get("login_id") ?? "").trim();
        go(address(keysPath("tokens"), { customer, login_id: wanted === "" ? null : wanted }));
      }}
    >
      <label>
        <span>{words.loginId}</span>
        <input key={asked} type="search" name="login_id" defaultValue={asked ?? ""} autocomplete="off" autocapitalize="none" spellcheck={false} />
      </label>
      <button type="submit">{words.keySearch}</button>
    </form>
  );
}

function Table({ tokens, customer }: { readonly tokens: readonly KeyToken[]; readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  return (
    <table class="links">
      <Heads of={[words.loginId, words.keyMotion, words.state, words.keyLastUsed]} acts={false} />
      <tbody>
        {tokens.map((token) => (
          <tr key={token.id} class={token.state === "revoked" ? "is-off" : ""}>
            <th scope="row">
              <Link href={address(keysPath("tokens", token.id), { customer })}>{token.login_id}</Link>
            </th>
            <td data-label={words.keyMotion}>
              {motionText(words, token)}
              {token.origin === "imported" && <small>{words.keyImported}</small>}
            </td>
            <td data-label={words.state}>
              <TokenState state={token.state} />
            </td>
            <td data-label={words.keyLastUsed}>{token.last_used_at == null ? words.keyNeverUsed : <When at={token.last_used_at} digits={0} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
