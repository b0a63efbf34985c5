// The pages about one customer, beside one another; the period that is looked at comes along.
import type { JSX } from "preact";
import { customerPath, Link, type PartyView, partyPath, useRouter } from "../router";
import { useMay } from "../session";
import { useSpeech } from "../words";

const KEPT = ["month", "from", "to", "agent"];

export function CustomerPages(props: { readonly customer: string; readonly view: PartyView | "now" }): JSX.Element {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const may = useMay();
  const kept = props.view === "now" ? {} : Object.fromEntries([...query.entries()].filter(([name]) => KEPT.includes(name)));
  const pages = [
    ["periods", words.pagePeriods, true],
    ["trend", words.pageTrend, true],
    ["chain", words.pageChain, true],
    ["sharing", words.pageSharing, may("time.report")],
  ] as const;
  return (
    <nav class="choice customer-pages" aria-label={words.customerPages}>
      <Link href={address(customerPath(props.customer))} aria-current={props.view === "now" ? "page" : undefined}>
        {words.pageNow}
      </Link>
      {pages.map(
        ([view, name, shown]) =>
          shown && (
            <Link
              key={view}
              href={address(partyPath(props.customer, view), view === "sharing" ? {} : kept)}
              aria-current={props.view === view ? "page" : undefined}
            >
              {name}
            </Link>
          ),
      )}
    </nav>
  );
}
