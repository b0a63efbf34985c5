import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Key } from "@angbu/shared/client";
import { count } from "../../format";
import { Copyable } from "../../parts/copy";
import { FormDialog } from "../../parts/dialog";
import { Loaded } from "../../parts/loaded";
import { Notice } from "../../parts/refusal";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { entryPath, Link, useRouter } from "../../router";
import { useSpeech } from "../../words";

const PURPOSES = ["log", "promise", "roughtime", "bodies", "records", "personal", "index"] as const;
type Purpose = (typeof PURPOSES)[number];

interface Asking {
  readonly what: "rotate" | "retire";
  readonly purpose: Purpose;
}

/** Which keys does the centre hold, and how is one replaced? For operators. */
export function KeysSection(): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const [asking, setAsking] = useState<Asking>();
  const [done, setDone] = useState<string>();
  const keys = useResource("keys", async () => (await answer(api.GET("/api/v1/evidence/keys"))).keys);
  return (
    <section>
      <h2>{words.keys}</h2>
      <p>{words.keysWhat}</p>
      {done !== undefined && (
        <Notice kind="done">
          <p>
            {words.keyRotated} <Link href={address(entryPath(done))}>{words.keyEntry}</Link>
          </p>
        </Notice>
      )}
      <Loaded of={keys}>
        {(all) => (
          <ul class="lines">
            {PURPOSES.map((purpose) => (
              <Line key={purpose} purpose={purpose} keys={all.filter((key) => key.purpose === purpose)} ask={setAsking} />
            ))}
          </ul>
        )}
      </Loaded>
      {asking !== undefined && (
        <Ask
          asking={asking}
          close={() => setAsking(undefined)}
          done={(entry) => {
            setAsking(undefined);
            setDone(entry);
            keys.reload();
          }}
        />
      )}
    </section>
  );
}

function Line(props: {
  readonly purpose: Purpose;
  readonly keys: readonly Key[];
  readonly ask: (asking: Asking) => void;
}): JSX.Element {
  const { words, language } = useSpeech();
  const { purpose } = props;
  // The centre names the oldest first; what counts now comes first here.
  const newest = [...props.keys].reverse();
  const live = newest.filter((key) => key.retired_at == null);
  const name = words[`key.${purpose}`];
  return (
    <li>
      <div>
        {name}
        <small>{words[`keyFor.${purpose}`]}</small>
        {newest.map((key) => (
          <small key={key.id}>
            {words.keyNumber({ number: count(key.id, language) })}, <When at={key.created_at} digits={0} />
            {key.retired_at != null && ` ${words.keyResealed({ count: count(key.resealed ?? 0, language) })}`}
            {typeof key.verifier_key === "string" && <Copyable text={key.verifier_key} />}
          </small>
        ))}
      </div>
      <span class="line-acts">
        {purpose === "log" && live.length > 1 && (
          <button type="button" class="quiet" onClick={() => props.ask({ what: "retire", purpose })}>
            {words.retire}
          </button>
        )}
        <button
          type="button"
          class="quiet"
          aria-label={words.rotateKey({ key: name })}
          onClick={() => props.ask({ what: "rotate", purpose })}
        >
          {words.rotate}
        </button>
      </span>
    </li>
  );
}

function Ask(props: {
  readonly asking: Asking;
  readonly close: () => void;
  readonly done: (entry: string) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { what, purpose } = props.asking;
  const retire = what === "retire";
  const signs = purpose === "log" || purpose === "promise" || purpose === "roughtime";
  const run = async (): Promise<void> => {
    const path = { purpose };
    const changed = retire
      ? await answer(api.POST("/api/v1/evidence/keys/log/retire"))
      : await answer(api.POST("/api/v1/evidence/keys/{purpose}/rotate", { params: { path } }));
    props.done(changed.entry_id);
  };
  return (
    <FormDialog
      title={retire ? words.retireKey : words.rotateKey({ key: words[`key.${purpose}`] })}
      action={retire ? words.retire : words.rotate}
      danger={retire}
      close={props.close}
      run={run}
    >
      {() => <p>{retire ? words.retireWhat : signs ? words.rotateSigning : words.rotateSealing}</p>}
    </FormDialog>
  );
}
