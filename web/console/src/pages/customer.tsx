import type { JSX } from "preact";
import { type Agent, answer, api, type Customer } from "@angbu/shared/client";
import { useCentre } from "../centre";
import { enrolAgent } from "../commands";
import { duration } from "../format";
import { useNews } from "../live";
import { AgentOverTime } from "../parts/agent-over-time";
import { AgentTable } from "../parts/agent-table";
import { Copyable } from "../parts/copy";
import { CustomerPages } from "../parts/customer-pages";
import { ReferenceNote } from "../parts/reference";
import { Refusal } from "../parts/refusal";
import { useTitle } from "../parts/title";
import { useResource } from "../resource";
import { accountsPath, Link, useRouter } from "../router";
import { useMay } from "../session";
import { customerSentence, tally, VERDICTS } from "../verdict";
import { useSpeech } from "../words";
import { MissingPage } from "./missing";

interface Loaded {
  readonly customer: Customer;
  readonly agents: readonly Agent[];
}

/** Are this customer's servers right, now and over a chosen period? */
export function CustomerPage(props: { readonly customer: string }): JSX.Element {
  const { words, language } = useSpeech();
  const { centre } = useCentre();
  const { query } = useRouter();
  const asked = props.customer;
  const loaded = useResource<Loaded>(asked, async () => {
    const [customer, { agents }] = await Promise.all([
      answer(api.GET("/api/v1/customers/{customer}", { params: { path: { customer: asked } } })),
      answer(api.GET("/api/v1/time/agents", { params: { query: { customer: asked } } })),
    ]);
    return { customer, agents };
  });
  useTitle(asked);
  useNews((news) => {
    if (news.kind === "tick") loaded.reload();
    if (news.kind !== "agent") return;
    const { agent } = news;
    if (loaded.data?.agents.every((each) => each.id !== agent.id)) loaded.reload();
    else loaded.change((data) => ({ ...data, agents: data.agents.map((each) => (each.id === agent.id ? agent : each)) }));
  });

  if (loaded.data === undefined) {
    if (loaded.refused === undefined) return <p class="asking">{words.loading}</p>;
    if (loaded.refused.problem.status === 404) return <MissingPage what={words.missingCustomer({ customer: asked })} />;
    return <Refusal refused={loaded.refused} again={loaded.reload} />;
  }
  const { customer, agents } = loaded.data;
  if (agents.length === 0) return <NoServers customer={customer.name} />;
  const told = { words, language, reference: centre.clock.verdict };
  const wanted = query.get("agent");
  const chosen = wanted === null ? foremost(agents) : agents.find((agent) => agent.name === wanted);
  return (
    <>
      <CustomerPages customer={customer.name} view="now" />
      <p class="kicker">
        {customer.name} · {words.tolerance} {duration(customer.tolerance_ns)}
      </p>
      <h1>{customerSentence(told, customer.name, customer.tolerance_ns, tally(agents))}</h1>
      <ReferenceNote />
      <AgentTable agents={agents} customer={customer} chosen={chosen?.id} />
      {chosen === undefined ? (
        <p>{words.missingAgent({ agent: wanted ?? "", customer: customer.name })}</p>
      ) : (
        <AgentOverTime agent={chosen} customer={customer} />
      )}
    </>
  );
}

/** The server to look at first: the worst one, and among equals the first by name. */
function foremost(agents: readonly Agent[]): Agent | undefined {
  const order = [...VERDICTS].sort((a, b) => rank(a) - rank(b));
  return order.map((verdict) => agents.find((agent) => agent.verdict === verdict)).find((agent) => agent !== undefined);
}

function rank(verdict: Agent["verdict"]): number {
  return { outside: 0, "not-proven": 1, within: 2 }[verdict];
}

function NoServers({ customer }: { readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  return (
    <>
      <h1>{words.enrolFirst({ customer })}</h1>
      {may("enrolments.make") && may("machines.manage") && (
        <p>
          <Link href={address(accountsPath("codes"), { customer })}>{words.enrolHere}</Link>
        </p>
      )}
      <p>{words.enrolNext}</p>
      <Copyable text={enrolAgent(customer, "db-1")} />
      <p>{words.enrolThen}</p>
    </>
  );
}
