import type { ComponentChildren, JSX } from "preact";
import type { Agent, Customer } from "@angbu/shared/client";
import { useCentre } from "../centre";
import { ago, delayText, measuredText, rateText } from "../format";
import { customerPath, Link, useRouter } from "../router";
import { verdictLong } from "../verdict";
import { coded, useSpeech } from "../words";
import { VerdictMark } from "./mark";
import { instantOf } from "./when";

/** Every server as it stands now; choosing one shows it over time. */
export function AgentTable(props: {
  readonly agents: readonly Agent[];
  readonly customer: Customer;
  readonly chosen: string | undefined;
}): JSX.Element {
  const { words } = useSpeech();
  return (
    <section>
      <h2>{words.serversNow}</h2>
      <table class="agents">
        <thead>
          <tr>
            <th scope="col">{words.server}</th>
            <th scope="col">{words.verdict}</th>
            <th scope="col" class="figure">
              {words.offset}
            </th>
            <th scope="col" class="figure">
              {words.delay}
            </th>
            <th scope="col">{words.state}</th>
            <th scope="col">{words.lastSeen}</th>
          </tr>
        </thead>
        <tbody>
          {props.agents.map((agent) => (
            <Row key={agent.id} agent={agent} customer={props.customer} chosen={agent.id === props.chosen} />
          ))}
        </tbody>
      </table>
      <p class="soft terms">
        {words.steadyLong} {words.inSyncLong}
      </p>
    </section>
  );
}

function Row({ agent, customer, chosen }: { readonly agent: Agent; readonly customer: Customer; readonly chosen: boolean }): JSX.Element {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const kept = Object.fromEntries([...query.entries()].filter(([name]) => name !== "lang"));
  return (
    <tr class={chosen ? "is-chosen" : ""}>
      <th scope="row">
        <Link href={address(customerPath(customer.name), { ...kept, agent: agent.name })} aria-current={chosen ? "true" : undefined}>
          {agent.name}
        </Link>
      </th>
      <AgentVerdict agent={agent} tolerance={customer.tolerance_ns} />
      <AgentOffset agent={agent}>
        {typeof agent.rate_ppb === "number" && <small title={words.rate}>{rateText(agent.rate_ppb)}</small>}
      </AgentOffset>
      <AgentDelay agent={agent} />
      <td data-label={words.state}>
        {agent.steady ? words.steady : words.notSteady}
        <small>{agent.in_sync ? words.inSync : words.notInSync}</small>
      </td>
      <AgentSeen agent={agent} />
    </tr>
  );
}

/** What can be said of a server's clock now, and why where that is not good. */
export function AgentVerdict({ agent, tolerance }: { readonly agent: Agent; readonly tolerance: number }): JSX.Element {
  const { words } = useSpeech();
  return (
    <td>
      <div class="agent-verdict">
        <VerdictMark verdict={agent.verdict} size={22} />
        <span>
          {verdictLong(words, agent.verdict, tolerance)}
          {agent.verdict !== "within" && <small class="why">{coded(words, "why", agent.why)}</small>}
        </span>
      </div>
    </td>
  );
}

/** Its newest offset with the bound, and what else belongs to that. */
export function AgentOffset({ agent, children }: { readonly agent: Agent; readonly children?: ComponentChildren }): JSX.Element {
  const { words } = useSpeech();
  const { offset_ns: offset, bound_ns: bound } = agent;
  return (
    <td class="figure" data-label={words.offset}>
      {typeof offset === "number" && typeof bound === "number" ? measuredText(offset, bound) : "–"}
      {children}
    </td>
  );
}

/** How long its packets took. */
export function AgentDelay({ agent }: { readonly agent: Agent }): JSX.Element {
  const { words } = useSpeech();
  return (
    <td class="figure" data-label={words.delay}>
      {typeof agent.delay_ns === "number" ? delayText(agent.delay_ns) : "–"}
    </td>
  );
}

/** How long ago it was heard of. */
export function AgentSeen({ agent }: { readonly agent: Agent }): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  const { last_seen: seen } = agent;
  return (
    <td data-label={words.lastSeen}>{typeof seen === "string" ? ago(now() - instantOf(seen).ms, language) : words.neverSeen}</td>
  );
}
