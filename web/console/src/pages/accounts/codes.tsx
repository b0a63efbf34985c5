import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type EnrolmentKind, type OpenCode } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { agentConfiguration, join, START_AGENT } from "../../commands";
import { count, span } from "../../format";
import { type About, AboutCustomer } from "../../parts/about-customer";
import { Act } from "../../parts/act";
import { Copyable } from "../../parts/copy";
import { FormDialog, OnceDialog, textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Sure } from "../../parts/sure";
import { useTitle } from "../../parts/title";
import { instantOf } from "../../parts/when";
import { useResource } from "../../resource";
import { accountsPath } from "../../router";
import { kindsToEnrol, useSession } from "../../session";
import { useSpeech } from "../../words";
import { placed } from "./refused";

interface Made {
  readonly kind: EnrolmentKind;
  readonly name: string;
  readonly code: string;
}

/** Who can join with a code that was given out? */
export function CodesPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words["part.codes"]);
  return (
    <AboutCustomer path={accountsPath("codes")} one={false}>
      {(about) => <Codes about={about} />}
    </AboutCustomer>
  );
}

function Codes({ about }: { readonly about: About }): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Made>();
  const [revoking, setRevoking] = useState<OpenCode>();
  const list = useResource(`codes ${about.customer}`, async () => {
    const found = await answer(api.GET("/api/v1/enrolments", { params: { query: { customer: about.customer } } }));
    return found.enrolments.filter((code) => !code.used && instantOf(code.expires_at).ms > now());
  });
  const revoke = async ({ id }: OpenCode): Promise<void> => {
    await answer(api.DELETE("/api/v1/enrolments/{enrolment}", { params: { path: { enrolment: id } } }));
    list.reload();
  };
  return (
    <Loaded of={list}>
      {(codes) => (
        <>
          <h1>{codes.length === 0 ? words.codesNone : words.codesFirst({ count: count(codes.length, language) })}</h1>
          <p class="lead">{words.codesWhat}</p>
          <div class="filters">
            {about.chooser}
            {about.customers.length > 0 && (
              <button type="button" onClick={() => setMaking(true)}>
                {words.codeMake}
              </button>
            )}
          </div>
          {codes.length > 0 && (
            <table>
              <Heads of={[words.codeFor, words.kind, words.customer, words.expires]} />
              <tbody>
                {codes.map((code) => (
                  <tr key={code.id}>
                    <th scope="row">{code.name}</th>
                    <td data-label={words.kind}>{words[`code.${code.kind}`]}</td>
                    <td data-label={words.customer}>{code.customer}</td>
                    <td data-label={words.expires}>{words.inTime({ span: span(instantOf(code.expires_at).ms - now(), language) })}</td>
                    <td class="acts">
                      <Act text={words.revoke} of={code.name} click={() => setRevoking(code)} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          {making && (
            <MakeCode
              about={about}
              close={() => setMaking(false)}
              done={(code) => {
                setMaking(false);
                setMade(code);
                list.reload();
              }}
            />
          )}
          {made !== undefined && <CodeMade made={made} close={() => setMade(undefined)} />}
          {revoking !== undefined && (
            <Sure
              title={words.codeRevoke({ name: revoking.name })}
              action={words.revoke}
              close={() => setRevoking(undefined)}
              run={() => revoke(revoking)}
            >
              {words.codeRevokeWhat}
            </Sure>
          )}
        </>
      )}
    </Loaded>
  );
}

function CodeMade({ made, close }: { readonly made: Made; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  const { centre } = useCentre();
  const { kind, name, code } = made;
  return (
    <OnceDialog title={words.codeForOne({ name })} secret={code} close={close}>
      {kind === "agent" ? (
        <>
          <p>{words.codeNextAgent({ name })}</p>
          <Copyable text={agentConfiguration(centre.http.address, name, code)} />
          <Copyable text={START_AGENT} />
        </>
      ) : (
        <>
          <p>{words[`codeNext.${kind}`]}</p>
          <Copyable text={join(centre.http.address, kind)} />
        </>
      )}
    </OnceDialog>
  );
}

function MakeCode(props: { readonly about: About; readonly close: () => void; readonly done: (made: Made) => void }): JSX.Element {
  const { words } = useSpeech();
  const session = useSession();
  const kinds = kindsToEnrol(session.scopes);
  const [kind, setKind] = useState<EnrolmentKind>(kinds[0] ?? "person");
  const { customers, customer } = props.about;
  const run = async (form: FormData): Promise<void> => {
    const body = { kind, customer: textOf(form, "customer"), name: textOf(form, "name") };
    const { code } = await answer(api.POST("/api/v1/enrolments", { body }));
    props.done({ kind, name: body.name, code });
  };
  return (
    <FormDialog title={words.codeMake} action={words.make} close={props.close} run={run} place={placed(words, { taken: "name", invalid: "name" })}>
      {(wrong) => (
        <>
          <SelectField
            label={words.kind}
            name="kind"
            options={kinds.map((each) => ({ value: each, text: words[`code.${each}`] }))}
            value={kind}
            hint={words[`codeIs.${kind}`]}
            change={(chosen) => setKind(chosen as EnrolmentKind)}
          />
          <SelectField
            label={words.customer}
            name="customer"
            options={customers.map(({ name }) => ({ value: name, text: name }))}
            {...(customer === undefined ? {} : { value: customer })}
          />
          <Field
            label={kind === "person" ? words.loginId : words.name}
            hint={kind === "person" ? words.loginIdRule : words.nameRule}
            name="name"
            wrong={wrong["name"]}
          />
        </>
      )}
    </FormDialog>
  );
}
