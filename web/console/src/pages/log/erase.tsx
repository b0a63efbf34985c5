import type { JSX } from "preact";
import { answer, api, type EntryPage as Entry } from "@angbu/shared/client";
import { FormDialog, Mistake, textOf } from "../../parts/dialog";
import { Field, TicksField } from "../../parts/field";
import { useSpeech } from "../../words";
import { placed } from "../accounts/refused";

/** Erases the value and the salt of fields, for good. */
export function EraseDialog(props: {
  readonly entry: Entry;
  readonly close: () => void;
  readonly done: (erasure: string) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { entry } = props;
  const erasable = entry.fields.filter((field) => field.erasable === true);
  const run = async (form: FormData): Promise<void> => {
    const fields = form.getAll("fields").map(String);
    if (fields.length === 0) throw new Mistake("fields", words.eraseNothing);
    const call = api.POST("/api/v1/evidence/entries/{entry}/erase", {
      params: { path: { entry: entry.id } },
      body: { fields, reason: textOf(form, "reason") },
    });
    props.done((await answer(call)).entry_id);
  };
  return (
    <FormDialog title={words.eraseFields} action={words.eraseForGood} danger close={props.close} run={run} place={placed(words, { "not-erasable": "fields" })}>
      {(wrong) => (
        <>
          <p>{words.eraseWhat}</p>
          <p>{words.eraseNot}</p>
          <TicksField
            label={words.fields}
            name="fields"
            options={erasable.map(({ name }) => ({ value: name, text: name }))}
            wrong={wrong["fields"]}
          />
          <Field label={words.reason} hint={words.reasonHint} name="reason" />
        </>
      )}
    </FormDialog>
  );
}
