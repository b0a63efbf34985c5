// The log in trouble: on every page, since nothing new is proven until it is settled.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api } from "@angbu/shared/client";
import { useCentre } from "../centre";
import { confirmLog } from "../commands";
import { count, sentence } from "../format";
import { useMay } from "../session";
import { useSpeech } from "../words";
import { Copyable } from "./copy";
import { FormDialog, Mistake, textOf } from "./dialog";
import { Field } from "./field";

export function Trouble(): JSX.Element | null {
  const { words } = useSpeech();
  const { centre } = useCentre();
  const may = useMay();
  const [asking, setAsking] = useState(false);
  const { trouble, size } = centre.log;
  if (trouble == null) return null;
  return (
    <section class="trouble" role="alert" aria-label={words.trouble}>
      <p>
        <strong>{words.trouble}</strong> {sentence(trouble)}
      </p>
      {may("operator") && (
        <button type="button" onClick={() => setAsking(true)}>
          {words.confirmLog}
        </button>
      )}
      {asking && <ConfirmLog size={size} close={() => setAsking(false)} />}
    </section>
  );
}

function ConfirmLog({ size, close }: { readonly size: number; readonly close: () => void }): JSX.Element {
  const { words, language } = useSpeech();
  const run = async (form: FormData): Promise<void> => {
    if (textOf(form, "size").replace(/[,.\s]/g, "") !== String(size)) {
      throw new Mistake("size", words.confirmLogDiffers({ size: count(size, language) }));
    }
    await answer(api.POST("/api/v1/evidence/confirm", { body: { size, reason: textOf(form, "reason") } }));
    close();
  };
  return (
    <FormDialog title={words.confirmLog} action={words.confirmLogDo} danger close={close} run={run}>
      {(wrong) => (
        <>
          <p>{words.confirmLogWhat({ size: count(size, language) })}</p>
          <p>{words.confirmLogWhen}</p>
          <Field label={words.confirmLogSize} name="size" wrong={wrong["size"]} focus />
          <Field label={words.reason} hint={words.reasonHint} name="reason" />
          <p class="soft">{words.orByCommand}</p>
          <Copyable text={confirmLog(size)} />
        </>
      )}
    </FormDialog>
  );
}
