// Passkeys in a table, and making one.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Passkey, RegistrationQuestion } from "@angbu/shared/client";
import { makePasskey, PasskeyStopped, type RegistrationJson } from "../request/webauthn";
import { useSpeech } from "../words";
import { Act } from "./act";
import { FormDialog, Mistake, textOf } from "./dialog";
import { Field } from "./field";
import { Sure } from "./sure";
import { When } from "./when";

export function PasskeyTable(props: {
  readonly passkeys: readonly Passkey[];
  /** Takes one back; left away where that may not be done. */
  readonly revoke?: (id: string) => Promise<void>;
}): JSX.Element {
  const { words } = useSpeech();
  const [revoking, setRevoking] = useState<Passkey>();
  if (props.passkeys.length === 0) return <p class="soft">{words.passkeysEmpty}</p>;
  const { revoke } = props;
  return (
    <div class="scroll">
      <table class="list">
        <caption class="unseen">{words.passkeys}</caption>
        <thead>
          <tr>
            <th scope="col">{words.passkeyLabel}</th>
            <th scope="col">{words.passkeyCreated}</th>
            <th scope="col">{words.passkeyUsed}</th>
            <th scope="col">{words.state}</th>
            {revoke !== undefined && (
              <th scope="col">
                <span class="unseen">{words.actions}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {props.passkeys.map((passkey) => (
            <tr key={passkey.id}>
              <th scope="row">{passkey.label}</th>
              <td data-label={words.passkeyCreated}>
                <When at={passkey.created_at} digits={0} />
              </td>
              <td data-label={words.passkeyUsed}>{passkey.last_used_at == null ? words.passkeyUnused : <When at={passkey.last_used_at} digits={0} />}</td>
              <td data-label={words.state}>{stateOf(words, passkey)}</td>
              {revoke !== undefined && (
                <td>{passkey.revoked_at == null && <Act text={words.revoke} of={passkey.label} click={() => setRevoking(passkey)} />}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {revoking !== undefined && revoke !== undefined && (
        <Sure title={words.passkeyRevoke({ label: revoking.label })} action={words.revoke} close={() => setRevoking(undefined)} run={() => revoke(revoking.id)}>
          {words.passkeyRevokeWhat}
        </Sure>
      )}
    </div>
  );
}

function stateOf(words: ReturnType<typeof useSpeech>["words"], passkey: Passkey): string {
  if (passkey.revoked_at != null) return words.revoked;
  if (passkey.doubted_at != null) return words.passkeyDoubted;
  return passkey.synced ? words.passkeySynced : words.active;
}

export function RegisterDialog(props: {
  readonly close: () => void;
  readonly begin: () => Promise<RegistrationQuestion>;
  readonly finish: (label: string, credential: RegistrationJson) => Promise<unknown>;
}): JSX.Element {
  const { words } = useSpeech();
  return (
    <FormDialog title={words.passkeyAdd} action={words.passkeyMake} close={props.close} run={async (form) => {
      await register(props, textOf(form, "label"), words.passkeyStopped, words.passkeyThere);
      props.close();
    }}>
      {(wrong) => <Field label={words.passkeyLabel} hint={words.passkeyLabelHint} name="label" value={words.passkeyLabelHere} focus wrong={wrong.label} />}
    </FormDialog>
  );
}

/** Asks the centre, then the browser, then the centre again. */
export async function register(
  by: { readonly begin: () => Promise<RegistrationQuestion>; readonly finish: (label: string, credential: RegistrationJson) => Promise<unknown> },
  label: string,
  stopped: string,
  there: string,
): Promise<void> {
  const question = await by.begin();
  try {
    await by.finish(label, await makePasskey(question));
  } catch (error) {
    if (error instanceof PasskeyStopped) throw new Mistake("label", error.registered ? there : stopped);
    throw error;
  }
}
