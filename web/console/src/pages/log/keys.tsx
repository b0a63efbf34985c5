import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api } from "@angbu/shared/client";
import { FormDialog } from "../../parts/dialog";
import { Notice } from "../../parts/refusal";
import { useSpeech } from "../../words";

const PURPOSES = ["log", "promise", "bodies", "records", "personal", "index"] as const;
type Purpose = (typeof PURPOSES)[number];

/** Which keys does the centre hold, and how is one replaced? For operators. */
export function KeysSection(): JSX.Element {
  const { words } = useSpeech();
  const [asking, setAsking] = useState<Purpose>();
  const [done, setDone] = useState<Purpose>();
  return (
    <section>
      <h2>{words.keys}</h2>
      <p>{words.keysWhat}</p>
      {done !== undefined && (
        <Notice kind="done">
          <p>{words.keyRotated({ key: words[`key.${done}`] })}</p>
        </Notice>
      )}
      <ul class="lines">
        {PURPOSES.map((purpose) => (
          <li key={purpose}>
            <span>
              {words[`key.${purpose}`]}
              <small>{words[`keyFor.${purpose}`]}</small>
            </span>
            <button type="button" class="quiet" onClick={() => setAsking(purpose)} aria-label={words.rotateKey({ key: words[`key.${purpose}`] })}>
              {words.rotate}
            </button>
          </li>
        ))}
      </ul>
      {asking !== undefined && (
        <FormDialog
          title={words.rotateKey({ key: words[`key.${asking}`] })}
          action={words.rotate}
          close={() => setAsking(undefined)}
          run={async () => {
            await answer(api.POST("/api/v1/evidence/keys/{purpose}/rotate", { params: { path: { purpose: asking } } }));
            setDone(asking);
            setAsking(undefined);
          }}
        >
          {() => <p>{asking === "log" || asking === "promise" ? words.rotateSigning : words.rotateSealing}</p>}
        </FormDialog>
      )}
    </section>
  );
}
