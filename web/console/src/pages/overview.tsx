import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { answer, api } from "@angbu/shared/client";
import { useCentre } from "../centre";
import { CUSTOMER_CONFIGURATION, enrolAgent } from "../commands";
import { useNews } from "../live";
import { Copyable } from "../parts/copy";
import { VerdictMark } from "../parts/mark";
import { ReferenceNote } from "../parts/reference";
import { Refusal } from "../parts/refusal";
import { useTitle } from "../parts/title";
import { useResource } from "../resource";
import { accountsPath, customerPath, Link, useRouter } from "../router";
import { useMay } from "../session";
import { customerSentence, siteSentence, tallyOf, worst } from "../verdict";
import { useSpeech } from "../words";

/** Agents report every few seconds, each on its own; the list is asked for at most this often. */
const AT_MOST_EVERY_MS = 3_000;

/** Are all customers' servers right, now? */
export function OverviewPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { centre } = useCentre();
  const { address } = useRouter();
  const may = useMay();
  const list = useResource("customers", async () => (await answer(api.GET("/api/v1/customers"))).customers);
  useTitle(words.overview);
  const asked = useRef(performance.now());
  useNews((news) => {
    if (news.kind !== "tick" && (news.kind !== "agent" || performance.now() - asked.current < AT_MOST_EVERY_MS)) return;
    asked.current = performance.now();
    list.reload();
  });

  if (list.data === undefined) {
    return list.refused === undefined ? <p class="asking">{words.loading}</p> : <Refusal refused={list.refused} again={list.reload} />;
  }
  const told = { words, language, reference: centre.clock.verdict };
  // The first line has said for all of them what a declared clock is measured against.
  const row = { ...told, reference: told.reference === "declared" ? ("proven" as const) : told.reference };
  const customers = list.data;
  const [only] = customers;
  return (
    <>
      <h1>{siteSentence(told, customers)}</h1>
      {customers.some((customer) => customer.agents > 0) && <ReferenceNote />}
      {only === undefined && (
        <>
          {may("operator") && (
            <p>
              <Link href={address(accountsPath("customers"))}>{words.customerAdd}</Link>
            </p>
          )}
          <p>{words.noCustomersNext}</p>
          <Copyable text={CUSTOMER_CONFIGURATION} />
        </>
      )}
      {only !== undefined && (
        <>
          <p class="after">
            <Link href={address("/servers")}>{words.allServersLink}</Link>
          </p>
          <h2 class="unseen">{words.customersListed}</h2>
          <ul class="customers">
            {customers.map((customer) => (
              <li key={customer.id}>
                <VerdictMark verdict={worst(tallyOf(customer))} size={28} />
                <div>
                  <Link href={address(customerPath(customer.name))}>{customer.name}</Link>
                  <p>{customerSentence(row, customer.name, customer.tolerance_ns, tallyOf(customer))}</p>
                  {customer.agents === 0 && <Copyable text={enrolAgent(customer.name, "db-1")} />}
                </div>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
