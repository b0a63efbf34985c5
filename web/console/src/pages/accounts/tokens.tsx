import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Token } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { count } from "../../format";
import { type About, AboutCustomer } from "../../parts/about-customer";
import { Act } from "../../parts/act";
import { FormDialog, Mistake, OnceDialog, textOf } from "../../parts/dialog";
import { Field, SelectField, TicksField } from "../../parts/field";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Sure } from "../../parts/sure";
import { useTitle } from "../../parts/title";
import { instantOf, When } from "../../parts/when";
import { useResource } from "../../resource";
import { accountsPath } from "../../router";
import { scopesToGive, useSession, wholeSite } from "../../session";
import { coded, useSpeech } from "../../words";

/** Which programs hold a key to this centre, and to what? */
export function TokensPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words["part.tokens"]);
  return (
    <AboutCustomer path={accountsPath("tokens")} one={false}>
      {(about) => <Tokens about={about} />}
    </AboutCustomer>
  );
}

function Tokens({ about }: { readonly about: About }): JSX.Element {
  const { words, language } = useSpeech();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<{ readonly holder: string; readonly token: string }>();
  const [revoking, setRevoking] = useState<Token>();
  const { now } = useCentre();
  const list = useResource(`tokens ${about.customer}`, async () => {
    const found = await answer(api.GET("/api/v1/tokens", { params: { query: { customer: about.customer } } }));
    return found.tokens;
  });
  const revoke = async ({ id }: Token): Promise<void> => {
    await answer(api.DELETE("/api/v1/tokens/{token}", { params: { path: { token: id } } }));
    list.reload();
  };
  const over = (token: Token): boolean => token.revoked || (token.expires_at != null && instantOf(token.expires_at).ms <= now());
  return (
    <Loaded of={list}>
      {(tokens) => {
        const open = tokens.filter((token) => !over(token)).length;
        return (
          <>
            <h1>{open === 0 ? words.tokensNone : words.tokensFirst({ count: count(open, language) })}</h1>
            <p class="lead">{words.tokensWhat}</p>
            <div class="filters">
              {about.chooser}
              <button type="button" onClick={() => setMaking(true)}>
                {words.tokenMake}
              </button>
            </div>
            {tokens.length > 0 && <Table tokens={tokens} over={over} revoke={setRevoking} />}
            {making && (
              <MakeToken
                about={about}
                close={() => setMaking(false)}
                done={(token) => {
                  setMaking(false);
                  setMade(token);
                  list.reload();
                }}
              />
            )}
            {made !== undefined && (
              <OnceDialog title={words.tokenFor({ name: made.holder })} secret={made.token} close={() => setMade(undefined)}>
                <p>{words.tokenNext}</p>
              </OnceDialog>
            )}
            {revoking !== undefined && (
              <Sure
                title={words.tokenRevoke({ name: revoking.holder })}
                action={words.revoke}
                close={() => setRevoking(undefined)}
                run={() => revoke(revoking)}
              >
                {words.tokenRevokeWhat}
              </Sure>
            )}
          </>
        );
      }}
    </Loaded>
  );
}

function Table(props: {
  readonly tokens: readonly Token[];
  readonly over: (token: Token) => boolean;
  readonly revoke: (token: Token) => void;
}): JSX.Element {
  const { words } = useSpeech();
  return (
    <table>
      <Heads of={[words.holder, words.customer, words.scopes, words.expires]} />
      <tbody>
        {props.tokens.map((token) => (
          <tr key={token.id} class={props.over(token) ? "is-off" : ""}>
            <th scope="row">{token.holder}</th>
            <td data-label={words.customer}>{token.customer ?? words.wholeSite}</td>
            <td data-label={words.scopes}>{token.scopes.map((scope) => coded(words, "scope", scope)).join(", ")}</td>
            <td data-label={words.expires}>
              {token.revoked ? words.revoked : token.expires_at == null ? words.expiresNever : <When at={token.expires_at} digits={0} />}
            </td>
            <td class="acts">
              {!props.over(token) && <Act text={words.revoke} of={token.holder} click={() => props.revoke(token)} />}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const DAY_MS = 86_400_000;
const LENGTHS = ["30", "90", "365", ""] as const;

function MakeToken(props: {
  readonly about: About;
  readonly close: () => void;
  readonly done: (made: { holder: string; token: string }) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { now } = useCentre();
  const session = useSession();
  const { customers, customer } = props.about;
  const run = async (form: FormData): Promise<void> => {
    const scopes = form.getAll("scopes").map(String);
    if (scopes.length === 0) throw new Mistake("scopes", words.scopesNone);
    const days = Number(textOf(form, "days"));
    const chosen = textOf(form, "customer");
    const body = {
      holder: textOf(form, "holder"),
      scopes,
      ...(chosen === "" ? {} : { customer: chosen }),
      ...(days > 0 ? { expires: new Date(now() + days * DAY_MS).toISOString() } : {}),
    };
    const { token } = await answer(api.POST("/api/v1/tokens", { body }));
    props.done({ holder: body.holder, token });
  };
  const places = [
    ...(wholeSite(session) ? [{ value: "", text: words.wholeSite }] : []),
    ...customers.map(({ name }) => ({ value: name, text: name })),
  ];
  return (
    <FormDialog title={words.tokenMake} action={words.make} close={props.close} run={run}>
      {(wrong) => (
        <>
          <Field label={words.holder} hint={words.holderRule} name="holder" wrong={wrong["holder"]} focus />
          <SelectField label={words.customer} name="customer" options={places} value={customer ?? places[0]?.value ?? ""} />
          <TicksField
            label={words.scopes}
            name="scopes"
            options={scopesToGive(session.scopes).map((scope) => ({ value: scope, text: coded(words, "scope", scope), hint: scope }))}
            wrong={wrong["scopes"]}
          />
          <SelectField
            label={words.expires}
            name="days"
            options={LENGTHS.map((days) => ({ value: days, text: days === "" ? words.expiresNever : words.afterDays({ days }) }))}
            value="90"
          />
        </>
      )}
    </FormDialog>
  );
}
