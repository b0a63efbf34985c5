import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Person, Refused } from "@angbu/shared/client";
import { FormDialog, Mistake, OnceDialog, textOf } from "../../parts/dialog";
import { Fact } from "../../parts/facts";
import { PasskeyTable } from "../../parts/passkeys";
import { Field, SelectField } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { Notice, Refusal } from "../../parts/refusal";
import { Sure } from "../../parts/sure";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { useSpeech } from "../../words";
import { MissingPage } from "../missing";
import { languageName } from "./customers";
import { personState } from "./people";
import { PERSON_FIELDS, placed } from "./refused";
import { languageOptions, readPhone } from "./settings";

type Asking = "change" | "disable" | "enable" | "erase";

/** Who is this person, and may they sign in? */
export function PersonPage(props: { readonly person: string }): JSX.Element {
  const { words } = useSpeech();
  const path = { person: props.person };
  const loaded = useResource(props.person, () => answer(api.GET("/api/v1/people/{person}", { params: { path } })));
  useTitle(words.person);
  return (
    <Loaded of={loaded} missing={<MissingPage what={words.missingPerson} />}>
      {(person) => <Shown person={person} reload={loaded.reload} />}
    </Loaded>
  );
}

function Shown({ person, reload }: { readonly person: Person; readonly reload: () => void }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  const [asking, setAsking] = useState<Asking>();
  const [erasure, setErasure] = useState<string>();
  const close = (): void => {
    setAsking(undefined);
    reload();
  };
  const first = person.erased
    ? words.personFirstErased
    : person.disabled
      ? words.personFirstDisabled({ person: person.login_id })
      : words.personFirst({ person: person.login_id });
  return (
    <>
      <h1>{first}</h1>
      {erasure !== undefined && (
        <Notice kind="done">
          <p>
            {words.erased}{" "}
            {may("evidence.read") && <Link href={address(entryPath(erasure))}>{words.erasedEntry}</Link>}
          </p>
        </Notice>
      )}
      <dl class="facts">
        {!person.erased && (
          <>
            <Fact name={words.loginId}>{person.login_id}</Fact>
            <Fact name={words.phone}>{person.phone_no}</Fact>
            <Fact name={words.birthday}>{person.birthday}</Fact>
            <Fact name={words.languageOf}>{languageName(person.language)}</Fact>
          </>
        )}
        <Fact name={words.state}>{personState(words, person)}</Fact>
        <Fact name={words.enrolledAt}>
          <When at={person.enrolled_at} digits={0} />
        </Fact>
        <Fact name={words.entry}>
          {may("evidence.read") ? (
            <Link href={address(entryPath(person.entry))}>
              <code>{person.entry}</code>
            </Link>
          ) : (
            <code>{person.entry}</code>
          )}
        </Fact>
        <Fact name={words.id}>
          <code>{person.id}</code>
        </Fact>
      </dl>
      {!person.erased && (
        <div class="actions">
          {may("people.manage") && (
            <>
              <button type="button" onClick={() => setAsking("change")}>
                {words.change}
              </button>
              <button type="button" onClick={() => setAsking(person.disabled ? "enable" : "disable")}>
                {person.disabled ? words.enable : words.disable}
              </button>
              <button type="button" class="danger" onClick={() => setAsking("erase")}>
                {words.personErase}
              </button>
            </>
          )}
        </div>
      )}
      {!person.erased && !person.disabled && <Passkeys person={person} />}
      {asking === "change" && <Change person={person} close={close} />}
      {(asking === "disable" || asking === "enable") && <Switch person={person} disabled={asking === "disable"} close={close} />}
      {asking === "erase" && <Erase person={person} close={close} done={setErasure} />}
    </>
  );
}

function Passkeys({ person }: { readonly person: Person }): JSX.Element {
  const { words } = useSpeech();
  const may = useMay();
  const path = { person: person.id };
  const [link, setLink] = useState<string>();
  const loaded = useResource(person.id, () => answer(api.GET("/api/v1/people/{person}/passkeys", { params: { path } })));
  const revoke = async (passkey: string): Promise<void> => {
    await answer(api.DELETE("/api/v1/people/{person}/passkeys/{passkey}", { params: { path: { ...path, passkey } } }));
    loaded.reload();
  };
  const make = async (): Promise<void> => setLink((await answer(api.POST("/api/v1/people/{person}/passkeys", { params: { path } }))).url);
  return (
    <>
      <h2>{words.passkeys}</h2>
      <Loaded of={loaded}>{({ passkeys }) => <PasskeyTable passkeys={passkeys} {...(may("people.manage") ? { revoke } : {})} />}</Loaded>
      {may("people.manage") && <LinkButton text={words.passkeyLink} make={make} />}
      {link !== undefined && (
        <OnceDialog title={words.passkeyLinkFor({ name: person.login_id })} close={() => setLink(undefined)} secret={link}>
          <p>{words.passkeyLinkOnce}</p>
        </OnceDialog>
      )}
    </>
  );
}

function LinkButton({ text, make }: { readonly text: string; readonly make: () => Promise<void> }): JSX.Element {
  const [refused, setRefused] = useState<Refused>();
  const click = async (): Promise<void> => {
    setRefused(undefined);
    try {
      await make();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    }
  };
  return (
    <div class="actions">
      <button type="button" onClick={() => void click()}>
        {text}
      </button>
      {refused !== undefined && <Refusal refused={refused} />}
    </div>
  );
}

function Change({ person, close }: { readonly person: Person; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  const run = async (form: FormData): Promise<void> => {
    const body = { phone_no: readPhone(textOf(form, "phone_no")), birthday: textOf(form, "birthday"), language: textOf(form, "language") };
    await answer(api.PATCH("/api/v1/people/{person}", { params: { path: { person: person.id } }, body }));
    close();
  };
  return (
    <FormDialog title={words.personChange({ person: person.login_id })} action={words.save} close={close} run={run} place={placed(words, PERSON_FIELDS)}>
      {(wrong) => (
        <>
          <Field label={words.phone} hint={words.phoneRule} name="phone_no" type="tel" value={person.phone_no} wrong={wrong["phone_no"]} focus />
          <Field label={words.birthday} name="birthday" type="date" value={person.birthday} wrong={wrong["birthday"]} />
          <SelectField label={words.languageOf} name="language" options={languageOptions()} value={person.language ?? "en"} />
        </>
      )}
    </FormDialog>
  );
}

function Switch(props: { readonly person: Person; readonly disabled: boolean; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  const { person, disabled } = props;
  const name = person.login_id;
  const call = (): ReturnType<typeof answer> =>
    answer(api.PATCH("/api/v1/people/{person}", { params: { path: { person: person.id } }, body: { disabled } }));
  return (
    <Sure
      title={disabled ? words.disableOne({ name }) : words.enableOne({ name })}
      action={disabled ? words.disable : words.enable}
      close={props.close}
      run={async () => void (await call())}
    >
      {disabled ? words.disablePersonWhat : words.enableWhat}
    </Sure>
  );
}

function Erase(props: { readonly person: Person; readonly close: () => void; readonly done: (entry: string) => void }): JSX.Element {
  const { words } = useSpeech();
  const { person } = props;
  const run = async (form: FormData): Promise<void> => {
    if (textOf(form, "login_id").normalize("NFC") !== person.login_id) {
      throw new Mistake("login_id", words.personEraseDiffers({ person: person.login_id }));
    }
    const body = { reason: textOf(form, "reason") };
    const call = api.POST("/api/v1/people/{person}/erase", { params: { path: { person: person.id } }, body });
    props.done((await answer(call)).entry_id);
    props.close();
  };
  return (
    <FormDialog title={words.personEraseOne({ person: person.login_id })} action={words.eraseForGood} danger close={props.close} run={run}>
      {(wrong) => (
        <>
          <p>{words.personEraseWhat}</p>
          <p>{words.eraseNot}</p>
          <Field label={words.personEraseType({ person: person.login_id })} name="login_id" wrong={wrong["login_id"]} focus />
          <Field label={words.reason} hint={words.reasonHint} name="reason" />
        </>
      )}
    </FormDialog>
  );
}
