import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type EntryField, type EntryPage as Entry } from "@angbu/shared/client";
import { count, dateAndClock, digitsFor, duration, NBSP, zoneName } from "../../format";
import { Copyable } from "../../parts/copy";
import { SITE } from "../../parts/entry-table";
import { Fact, Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { Notice } from "../../parts/refusal";
import { useTitle } from "../../parts/title";
import { instantOf, When } from "../../parts/when";
import { useResource } from "../../resource";
import { entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { coded, useSpeech } from "../../words";
import { MissingPage } from "../missing";
import { CheckEntry } from "./check";
import { EraseDialog } from "./erase";
import { ProofSection } from "./proof";

/** What does this entry say, and what shows that it stands in the log? `entry` is its id, or its place in the log. */
export function EntryPage({ entry }: { readonly entry: string }): JSX.Element {
  const { words } = useSpeech();
  const loaded = useResource<Entry | undefined>(entry, async () => {
    const id = /^\d{1,15}$/.test(entry) ? await idAt(Number(entry)) : entry;
    if (id === undefined) return undefined;
    return answer(api.GET("/api/v1/evidence/entries/{entry}", { params: { path: { entry: id } } }));
  });
  useTitle(words.entry);
  const missing = <MissingPage what={words.missingEntry({ entry })} />;
  return (
    <Loaded of={loaded} missing={missing}>
      {(found) => (found === undefined ? missing : <Shown entry={found} reload={loaded.reload} />)}
    </Loaded>
  );
}

/** The id of the entry at a place in the log, if this account may see it. */
async function idAt(index: number): Promise<string | undefined> {
  const query = { before: index + 1, limit: 1 };
  const { entries } = await answer(api.GET("/api/v1/evidence/entries", { params: { query } }));
  return entries.find((each) => each.index === index)?.id;
}

function Shown({ entry, reload }: { readonly entry: Entry; readonly reload: () => void }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const digits = entry.verdict === "unproven" ? 0 : Math.min(9, digitsFor(entry.error_bound_ns));
  const at = instantOf(entry.at);
  const said = {
    kind: coded(words, "kind", entry.kind),
    index: count(entry.index, language),
    when: unbroken(`${dateAndClock(at, "reader", Math.min(3, digits))} ${zoneName(at.ms)}`),
  };
  return (
    <>
      <p class="kicker">
        <Link href={address("/log")}>{words.log}</Link> · <Link href={address("/log/entries")}>{words.entries}</Link> ·{" "}
        <code>{entry.kind}</code>
      </p>
      <h1>{entry.customer === SITE ? words.entryFirst(said) : words.entryFirstOf({ ...said, customer: entry.customer })}</h1>
      <div class="columns">
        <Facts title={words.entryWhat}>
          <Fact name={words.entryId}>
            <Copyable text={entry.id} />
          </Fact>
          <Fact name={words.entryIndex}>{count(entry.index, language)}</Fact>
          <Fact name={words.customer}>{entry.customer === SITE ? words.theSite : entry.customer}</Fact>
          <Fact name={words.entryNumber}>{count(entry.number, language)}</Fact>
        </Facts>
        <Facts title={words.entryTime}>
          <Fact name={words.when}>
            <When at={entry.at} digits={digits} />
          </Fact>
          <Fact name={words.clockBound}>
            {entry.verdict === "unproven" ? words.unknown : `±${NBSP}${duration(entry.error_bound_ns)}`}
          </Fact>
          <Fact name={words.clockVerdict}>{words[`clock.${entry.verdict}`]}</Fact>
          <Fact name={words.entryClockState}>
            {typeof entry.clock_state === "number" ? (
              <Link href={address(entryPath(entry.clock_state))}>
                {entry.clock_state === entry.index ? words.entryItself : count(entry.clock_state, language)}
              </Link>
            ) : (
              words.entryNoClockState
            )}
          </Fact>
        </Facts>
      </div>
      <Fields entry={entry} reload={reload} />
      <section>
        <h2>{words.entryText}</h2>
        <p class="soft">{words.entryTextWhy}</p>
        <pre>{entry.text}</pre>
      </section>
      <ProofSection entry={entry} />
      <CheckEntry entry={entry} />
    </>
  );
}

/** An instant within a sentence stays in one line. */
function unbroken(text: string): string {
  return text.replaceAll("-", "\u2011").replaceAll(" ", NBSP).replace("+", "\u2060+\u2060");
}

function Fields({ entry, reload }: { readonly entry: Entry; readonly reload: () => void }): JSX.Element {
  const { words } = useSpeech();
  const may = useMay();
  const [erasing, setErasing] = useState(false);
  const [erasedBy, setErasedBy] = useState<string>();
  const { address } = useRouter();
  const erasable = entry.fields.some((field) => field.erasable === true);
  return (
    <section>
      <h2>{words.fields}</h2>
      {erasedBy !== undefined && (
        <Notice kind="done">
          <p>
            {words.erased} <Link href={address(entryPath(erasedBy))}>{words.erasedEntry}</Link>
          </p>
        </Notice>
      )}
      <dl class="facts">
        {entry.fields.map((field) => (
          <Fact key={field.name} name={field.name}>
            <Value field={field} />
          </Fact>
        ))}
      </dl>
      {may("evidence.erase") && erasable && (
        <p class="after">
          <button type="button" onClick={() => setErasing(true)}>
            {words.eraseFields}
          </button>
        </p>
      )}
      {erasing && (
        <EraseDialog
          entry={entry}
          close={() => setErasing(false)}
          done={(id) => {
            setErasing(false);
            setErasedBy(id);
            reload();
          }}
        />
      )}
    </section>
  );
}

/** A page stays readable; the receipt and a report have the rest. */
const LONGEST = 600;

function Value({ field }: { readonly field: EntryField }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  if (field.erased === true) {
    return (
      <span class="withheld">
        {words.fieldErased}{" "}
        {typeof field.erased_by === "string" && <Link href={address(entryPath(field.erased_by))}>{words.erasedEntry}</Link>}
      </span>
    );
  }
  if (typeof field.bytes === "number") return <span class="withheld">{words.fieldBytes({ count: count(field.bytes, language) })}</span>;
  if (field.hidden === true || field.value == null) return <span class="withheld">{words.fieldHidden}</span>;
  if (/^[0-9A-HJKMNP-TV-Z]{26}$/.test(field.value)) {
    return (
      <Link href={address(entryPath(field.value))}>
        <code>{field.value}</code>
      </Link>
    );
  }
  return <span class="value">{field.value.length > LONGEST ? `${field.value.slice(0, LONGEST)}…` : field.value}</span>;
}
