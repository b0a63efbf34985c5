import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type EntryPage as Entry, Refused } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { readHead, readTile, verifyReport, verifyWithPython } from "../../commands";
import { Copyable } from "../../parts/copy";
import { Refusal } from "../../parts/refusal";
import { save } from "../../parts/save";
import { readCheckpoint, tilePath } from "../../proof";
import { useSpeech } from "../../words";

const FORMS = {
  text: { accept: "text/plain", ending: "tlog-proof" },
  cose: { accept: "application/cose", ending: "cose" },
} as const;

/** How anyone checks this entry without this page. */
export function CheckEntry({ entry }: { readonly entry: Entry }): JSX.Element {
  const { words } = useSpeech();
  const { centre } = useCentre();
  const [refused, setRefused] = useState<Refused>();
  const file = (form: keyof typeof FORMS): string => `angbu-${entry.id}.${FORMS[form].ending}`;
  const size = readCheckpoint(entry.checkpoint)?.size ?? 0;

  const download = async (form: keyof typeof FORMS): Promise<void> => {
    setRefused(undefined);
    try {
      const call = api.GET("/api/v1/evidence/entries/{entry}/receipt", {
        params: { path: { entry: entry.id } },
        headers: { accept: FORMS[form].accept },
        parseAs: "blob",
      });
      save((await answer(call)) as unknown as Blob, file(form));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    }
  };

  return (
    <section>
      <h2>{words.logCheck}</h2>
      <p>{words.receiptWhat}</p>
      <div class="actions">
        <button type="button" class="primary" onClick={() => void download("text")}>
          {words.receiptText}
        </button>
        <button type="button" onClick={() => void download("cose")}>
          {words.receiptCose}
        </button>
      </div>
      {refused !== undefined && <Refusal refused={refused} />}
      <h3>{words.checkReceipt}</h3>
      <Copyable text={verifyReport(file("text"), centre.log.key)} />
      <h3>{words.logCheckPython}</h3>
      <Copyable text={verifyWithPython(file("text"), centre.log.key)} />
      <h3>{words.checkTile}</h3>
      <Copyable text={readHead(window.location.origin)} />
      <Copyable text={readTile(window.location.origin, tilePath(entry.index, size))} />
    </section>
  );
}
