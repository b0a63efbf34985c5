import type { JSX } from "preact";
import { answer, api, type KeyTryRow } from "@angbu/shared/client";
import { count, duration } from "../../format";
import { AboutCustomer } from "../../parts/about-customer";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Paging } from "../../parts/paging";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { entryPath, keysPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { coded, useSpeech, type Words } from "../../words";
import { TryMark } from "./state";

/** Which keys were tried at a customer's, and what did the clock allow? */
export function KeyTriesPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words.keyTries);
  return (
    <AboutCustomer path={keysPath("tries")} one>
      {({ customer, chooser }) =>
        customer === undefined ? (
          <h1>{words.noCustomers}</h1>
        ) : (
          <Tries customer={customer} chooser={chooser} />
        )
      }
    </AboutCustomer>
  );
}

function Tries({ customer, chooser }: { readonly customer: string; readonly chooser: JSX.Element }): JSX.Element {
  const { words, language } = useSpeech();
  const { query } = useRouter();
  const from = query.get("after");
  const after = from === null ? undefined : Number(from);
  const list = useResource(`tries ${customer} ${after}`, () =>
    answer(api.GET("/api/v1/keys/tries", { params: { query: { customer, after } } })),
  );
  return (
    <Loaded of={list}>
      {({ tries, next }) => (
        <>
          <h1>
            {tries.length === 0
              ? words.keyTriesNoneAt({ customer })
              : words.keyTriesFirst({
                  customer,
                  count: count(tries.length, language),
                  held: count(tries.filter((each) => each.ok).length, language),
                })}
          </h1>
          <p class="lead">{words.keyTriesWhat}</p>
          <div class="filters">{chooser}</div>
          {tries.length > 0 && <TriesTable tries={tries} named />}
          <Paging path={keysPath("tries")} query={{ customer }} by="after" next={next?.toString()} onward={words.onward} start={words.fromStart} />
        </>
      )}
    </Loaded>
  );
}

/** Judged tries, the newest first, each with the clock that it was judged by. */
export function TriesTable({ tries, named }: { readonly tries: readonly KeyTryRow[]; readonly named: boolean }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  return (
    <table>
      <Heads of={[words.keyVerdict, ...(named ? [words.loginId] : []), words.when, words.keyClock, words.keyBy, words.entry]} acts={false} />
      <tbody>
        {tries.map((each) => (
          <tr key={each.entry}>
            <th scope="row">
              <TryMark ok={each.ok}>{coded(words, "keyReason", each.reason)}</TryMark>
              {each.method === "recovery-code" && <small>{words.keyByCode}</small>}
            </th>
            {named && <td data-label={words.loginId}>{each.login_id ?? "–"}</td>}
            <td data-label={words.when}>
              <When at={each.at} digits={0} />
            </td>
            <td data-label={words.keyClock}>{clockText(words, each)}</td>
            <td data-label={words.keyBy}>{each.by}</td>
            <td data-label={words.entry}>
              {may("evidence.read") ? (
                <Link href={address(entryPath(each.entry))} aria-label={words.keyEntryOf({ entry: each.entry })}>
                  <code>{each.entry.slice(-8)}</code>
                </Link>
              ) : (
                <code>{each.entry.slice(-8)}</code>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** "proven, ± 1.2 ms": an unproven clock is bounded by nothing. */
function clockText(words: Words, each: KeyTryRow): string {
  const word = words[`keyClock.${each.clock_verdict}`];
  return each.clock_verdict === "unproven" ? word : `${word}, ± ${duration(each.error_bound_ns)}`;
}
