import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Delivery } from "@angbu/shared/client";
import { count } from "../format";
import { CustomerChooser, useCustomers } from "../parts/customer-chooser";
import { Heads } from "../parts/heads";
import { Loaded } from "../parts/loaded";
import { Paging } from "../parts/paging";
import { Notice } from "../parts/refusal";
import { useTitle } from "../parts/title";
import { When } from "../parts/when";
import { useResource } from "../resource";
import { Link, useRouter } from "../router";
import { useMay, useSession, wholeSite } from "../session";
import { coded, useSpeech } from "../words";

const PATH = "/messages";
const ROWS = 100;

/** Who was told, who was not, and why not? */
export function MessagesPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address } = useRouter();
  const session = useSession();
  const may = useMay();
  const customers = useCustomers();
  const [hurried, setHurried] = useState<number>();
  const customer = session.staff.customer?.name ?? query.get("customer") ?? undefined;
  const before = query.get("before") ?? undefined;
  const list = useResource(`${customer} ${before}`, () =>
    answer(api.GET("/api/v1/deliveries", { params: { query: { customer, before, limit: ROWS } } })),
  );
  const hurry = async (): Promise<void> => {
    const { deliveries } = await answer(api.POST("/api/v1/deliveries/now"));
    setHurried(deliveries);
    list.reload();
  };
  useTitle(words.messages);
  return (
    <Loaded of={list}>
      {(queue) => (
        <>
          <p class="kicker">
            <Link href={address("/incidents")}>{words.incidents}</Link>
          </p>
          <h1>{words.messagesFirst({ waiting: count(queue.waiting, language), failed: count(queue.given_up, language) })}</h1>
          <p class="lead">{words.messagesWhat}</p>
          {!queue.mail_configured && <p>{words.mailNone}</p>}
          {hurried !== undefined && (
            <Notice kind="done">
              <p>{words.messagesHurried({ count: count(hurried, language) })}</p>
            </Notice>
          )}
          <div class="filters">
            <CustomerChooser customers={customers.data ?? []} chosen={customer} path={PATH} keep={{}} all={wholeSite(session)} />
            {may("operator") && queue.waiting > 0 && (
              <button type="button" onClick={() => void hurry()}>
                {words.messagesNow}
              </button>
            )}
          </div>
          {queue.deliveries.length === 0 ? <p>{words.messagesNone}</p> : <Table deliveries={queue.deliveries} />}
          <Paging
            path={PATH}
            query={query.get("customer") === null ? {} : { customer: query.get("customer") ?? "" }}
            by="before"
            next={queue.next}
            onward={words.older}
            start={words.newestFirst}
          />
        </>
      )}
    </Loaded>
  );
}

function Table({ deliveries }: { readonly deliveries: readonly Delivery[] }): JSX.Element {
  const { words, language } = useSpeech();
  return (
    <table>
      <Heads of={[words.messageTo, words.messageAbout, words.messageMade, words.state, words.messageTries]} acts={false} />
      <tbody>
        {deliveries.map((each) => (
          <tr key={each.id} class={each.state === "given-up" ? "is-off" : ""}>
            <th scope="row">
              {each.target}
              <small>{each.customer ?? words.operators}</small>
            </th>
            <td data-label={words.messageAbout}>{coded(words, "topic", each.topic)}</td>
            <td data-label={words.messageMade}>
              <When at={each.made_at} digits={0} />
            </td>
            <td data-label={words.state}>
              {coded(words, "delivery", each.state)}
              {each.ended_at != null && (
                <small>
                  <When at={each.ended_at} digits={0} />
                </small>
              )}
              {each.why != null && <small class="why">{each.why}</small>}
            </td>
            <td data-label={words.messageTries}>
              {count(each.attempts, language)}
              {each.next_try_at != null && (
                <small>
                  {words.messageNext} <When at={each.next_try_at} digits={0} />
                </small>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
