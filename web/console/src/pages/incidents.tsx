import type { JSX } from "preact";
import { answer, api, type Incident } from "@angbu/shared/client";
import { count } from "../format";
import { CustomerChooser, useCustomers } from "../parts/customer-chooser";
import { Heads } from "../parts/heads";
import { Loaded } from "../parts/loaded";
import { Paging } from "../parts/paging";
import { useTitle } from "../parts/title";
import { When } from "../parts/when";
import { useResource } from "../resource";
import { customerPath, entryPath, Link, useRouter } from "../router";
import { useMay, useSession, wholeSite } from "../session";
import { coded, useSpeech } from "../words";

const PATH = "/incidents";
const ROWS = 100;

/** What is wrong now, and what was? */
export function IncidentsPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address } = useRouter();
  const session = useSession();
  const may = useMay();
  const customers = useCustomers();
  const customer = session.staff.customer?.name ?? query.get("customer") ?? undefined;
  const before = query.get("before") ?? undefined;
  const list = useResource(`${customer} ${before}`, () =>
    answer(api.GET("/api/v1/time/incidents", { params: { query: { customer, before, limit: ROWS } } })),
  );
  useTitle(words.incidents);
  return (
    <Loaded of={list}>
      {({ incidents, next }) => (
        <>
          <h1>{first(words, incidents, language)}</h1>
          <div class="filters">
            <CustomerChooser customers={customers.data ?? []} chosen={customer} path={PATH} keep={{}} all={wholeSite(session)} />
            {may("customers.change") && <Link href={address("/messages")}>{words.messages}</Link>}
          </div>
          {incidents.length > 0 && <Table incidents={incidents} />}
          <Paging
            path={PATH}
            query={query.get("customer") === null ? {} : { customer: query.get("customer") ?? "" }}
            by="before"
            next={next}
            onward={words.older}
            start={words.newestFirst}
          />
        </>
      )}
    </Loaded>
  );
}

type Speech = ReturnType<typeof useSpeech>;

function first(words: Speech["words"], incidents: readonly Incident[], language: Speech["language"]): string {
  if (incidents.length === 0) return words.incidentsNone;
  const open = incidents.filter((each) => each.until == null).length;
  return open === 0 ? words.incidentsOver : words.incidentsFirst({ count: count(open, language) });
}

function Table({ incidents }: { readonly incidents: readonly Incident[] }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  return (
    <table>
      <Heads of={[words.incidentWhat, words.servers, words.incidentSince, words.incidentUntil]} acts={false} />
      <tbody>
        {incidents.map((each) => (
          <tr key={each.id} class={each.until == null ? "" : "is-off"}>
            <th scope="row">
              {coded(words, "incident", each.kind)}
              {each.returns > 0 && <small>{words.incidentReturns({ count: count(each.returns, language) })}</small>}
            </th>
            <td data-label={words.servers}>
              {each.customer == null ? (
                words.thisCentre
              ) : (
                <Link href={address(customerPath(each.customer), each.server == null ? {} : { agent: each.server })}>
                  {each.server ?? each.agent} <small>{each.customer}</small>
                </Link>
              )}
            </td>
            <td data-label={words.incidentSince}>
              <When at={each.since} digits={0} />
              {may("evidence.read") && (
                <small>
                  <Link href={address(entryPath(each.opened_entry))}>{words.entry}</Link>
                </small>
              )}
            </td>
            <td data-label={words.incidentUntil}>
              {each.until == null ? words.incidentLasts : <When at={each.until} digits={0} />}
              {each.closed_entry != null && may("evidence.read") && (
                <small>
                  <Link href={address(entryPath(each.closed_entry))}>{words.entry}</Link>
                </small>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
