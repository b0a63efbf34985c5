import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { answer, api } from "@angbu/shared/client";
import { count } from "../../format";
import { CustomerChooser, useCustomers } from "../../parts/customer-chooser";
import { EntryTable } from "../../parts/entry-table";
import { Loaded } from "../../parts/loaded";
import { Paging } from "../../parts/paging";
import { useTitle } from "../../parts/title";
import { useResource } from "../../resource";
import { Link, useRouter } from "../../router";
import { useSession, wholeSite } from "../../session";
import { coded, useSpeech } from "../../words";

const PATH = "/log/entries";
const ROWS = 50;

/** What happened, newest first? */
export function EntriesPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address } = useRouter();
  const session = useSession();
  const customers = useCustomers();
  const customer = session.staff.customer?.name ?? query.get("customer") ?? undefined;
  const kind = query.get("kind") ?? undefined;
  const before = wholeNumber(query.get("before"));
  const list = useResource(`${customer} ${kind} ${before}`, () =>
    answer(api.GET("/api/v1/evidence/entries", { params: { query: { customer, kind, before, limit: ROWS } } })),
  );
  const kept: Record<string, string> = {
    ...(query.get("customer") === null ? {} : { customer: query.get("customer") ?? "" }),
    ...(kind === undefined ? {} : { kind }),
  };
  useTitle(words.entries);
  const of = kind === undefined ? words.entriesOfAnyKind : coded(words, "kind", kind);
  return (
    <>
      <p class="kicker">
        <Link href={address("/log")}>{words.log}</Link>
      </p>
      <h1>{customer === undefined ? words.entriesFirst({ of }) : words.entriesFirstOf({ of, customer })}</h1>
      <div class="filters">
        <CustomerChooser
          customers={customers.data ?? []}
          chosen={customer}
          path={PATH}
          keep={kind === undefined ? {} : { kind }}
          all={wholeSite(session)}
        />
        <KindChooser customer={customer} chosen={kind} />
      </div>
      <Loaded of={list}>
        {({ entries, next }) => (
          <>
            {entries.length === 0 ? (
              <p>{words.entriesNone}</p>
            ) : (
              <>
                <EntryTable entries={entries} />
                <p class="soft">{words.entriesShown({ count: count(entries.length, language) })}</p>
              </>
            )}
            <Paging path={PATH} query={kept} by="before" next={next?.toString()} onward={words.older} start={words.newestFirst} />
          </>
        )}
      </Loaded>
    </>
  );
}

/** A place in the log from the address bar, which anyone may have typed. */
function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function KindChooser(props: { readonly customer: string | undefined; readonly chosen: string | undefined }): JSX.Element {
  const { words } = useSpeech();
  const { query, address, go } = useRouter();
  const id = useId();
  const kinds = useResource(`kinds ${props.customer}`, async () => {
    const found = await answer(api.GET("/api/v1/evidence/kinds", { params: { query: { customer: props.customer } } }));
    return found.kinds.map((each) => each.kind).sort();
  });
  const known = kinds.data ?? [];
  const all = props.chosen === undefined || known.includes(props.chosen) ? known : [...known, props.chosen];
  return (
    <div class="chooser">
      <label for={id}>{words.kind}</label>
      <select
        id={id}
        onChange={(event) => {
          const wanted = event.currentTarget.value;
          go(address(PATH, { customer: query.get("customer"), kind: wanted === "" ? null : wanted }));
        }}
      >
        <option value="" selected={props.chosen === undefined}>
          {words.allKinds}
        </option>
        {all.map((kind) => (
          <option key={kind} value={kind} selected={kind === props.chosen}>
            {coded(words, "kind", kind)}
          </option>
        ))}
      </select>
    </div>
  );
}
