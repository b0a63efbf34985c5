import type { JSX } from "preact";
import { answer, api, type KeyEnrolled, type Refused } from "@angbu/shared/client";
import { Copyable } from "../../parts/copy";
import { Dialog, FormDialog, Mistake, textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Qr } from "../../parts/qr";
import { useSpeech } from "../../words";
import { placed } from "../accounts/refused";
import { readPhone } from "../accounts/settings";

/** What an enrolment can be refused for. */
const FIELDS = { "invalid-login-id": "login_id", "invalid-phone": "phone_no" } as const;

export function Enrol(props: {
  readonly customer: string;
  readonly close: () => void;
  readonly done: (enrolled: KeyEnrolled) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const run = async (form: FormData): Promise<void> => {
    const seconds = Number(textOf(form, "cycle_time"));
    if (!(Number.isInteger(seconds) && seconds >= 3 && seconds <= 60)) throw new Mistake("cycle_time", words.keyCycleRule);
    const body = {
      customer: props.customer,
      login_id: textOf(form, "login_id"),
      phone_no: readPhone(textOf(form, "phone_no")),
      cycle_time: seconds,
      kind: textOf(form, "kind"),
    };
    props.done(await answer(api.POST("/api/v1/keys/enrol", { body })));
  };
  const place = (refused: Refused): Mistake | undefined =>
    refused.kind === "taken" ? new Mistake("login_id", words.keyTaken) : placed(words, FIELDS)(refused);
  const kinds = (["time", "time-event", "counter"] as const).map((value) => ({ value, text: words[`keyKindLong.${value}`] }));
  return (
    <FormDialog title={words.keyEnrolIn({ customer: props.customer })} action={words.keyEnrolDo} close={props.close} run={run} place={place}>
      {(wrong) => (
        <>
          <Field label={words.loginId} hint={words.keyEnrolWho} name="login_id" wrong={wrong["login_id"]} focus />
          <Field label={words.phone} hint={words.phoneRule} name="phone_no" type="tel" wrong={wrong["phone_no"]} />
          <Field label={words.keyCycle} hint={words.keyCycleRule} name="cycle_time" value="30" wrong={wrong["cycle_time"]} />
          <SelectField label={words.keyMotion} name="kind" options={kinds} value="time" />
        </>
      )}
    </FormDialog>
  );
}

/** The address that an app takes in, which holds the secret: as a picture and as text, shown this once. */
export function EnrolledDialog(props: { readonly enrolled: KeyEnrolled; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  const { token, otpauth } = props.enrolled;
  return (
    <Dialog title={words.keyEnrolled({ login_id: token.login_id })} close={props.close} keep>
      <p>{words.keyEnrolledWhat}</p>
      <Qr text={otpauth} label={words.keyQr({ login_id: token.login_id })} />
      <details class="after">
        <summary>{words.keyEnrolledText}</summary>
        <Copyable text={otpauth} />
      </details>
      <div class="actions">
        <button type="button" class="primary" onClick={props.close}>
          {words.shownOnceKept}
        </button>
      </div>
    </Dialog>
  );
}

export function CodesDialog(props: { readonly login_id: string; readonly codes: readonly string[]; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  return (
    <Dialog title={words.keyCodesOf({ login_id: props.login_id })} close={props.close} keep>
      <p>{words.keyCodesWhat}</p>
      <ol class="recovery-codes">
        {props.codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ol>
      <div class="actions">
        <button type="button" class="primary" onClick={props.close}>
          {words.shownOnceKept}
        </button>
      </div>
    </Dialog>
  );
}
