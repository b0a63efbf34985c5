import type { JSX } from "preact";
import { type AgentChain, answer, api, type ChainHead, type Traceability } from "@angbu/shared/client";
import { count, duration, percent, span } from "../../format";
import { askedQuery } from "../../month";
import { Loaded } from "../../parts/loaded";
import { periodName } from "../../parts/period-of-customer";
import { Notice } from "../../parts/refusal";
import { save } from "../../parts/save";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { coded, useSpeech, type Words } from "../../words";
import { MissingPage } from "../missing";
import { About, useAsked } from "./about";

/** Gaps that a page shows of one server; the file has more. */
const ROWS = 100;

/** Does a chain lead from the reference to each of this customer's servers, and how long is it? */
export function ChainPage({ customer }: { readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const { asked, key } = useAsked();
  const of = useResource<Traceability>(`${customer} ${key}`, () =>
    answer(api.GET("/api/v1/time/customers/{customer}/traceability", { params: { path: { customer }, query: askedQuery(asked) } })),
  );
  return (
    <About customer={customer} view="chain" title={words.pageChain} shown={of.data?.period} chooses>
      <Loaded of={of} missing={<MissingPage what={words.missingCustomer({ customer })} />}>
        {(data) => <Chains of={data} />}
      </Loaded>
    </About>
  );
}

function Chains({ of }: { readonly of: Traceability }): JSX.Element {
  const { words, language } = useSpeech();
  const period = periodName(words, language, of.period);
  // The longest chain is the customer's answer.
  const longest = [...of.agents].filter((agent) => agent.greatest_ns != null).sort((a, b) => (b.greatest_ns ?? 0) - (a.greatest_ns ?? 0))[0];
  const declared = of.agents.some((agent) => agent.declared_ms > 0);
  const first =
    longest === undefined
      ? words.chainNone({ customer: of.customer, period })
      : words.chainFirst({
          agent: longest.name,
          typical: duration(longest.typical_ns ?? 0),
          greatest: duration(longest.greatest_ns ?? 0),
          share: shown(longest),
          period,
        });
  return (
    <>
      <h1>{first}</h1>
      <p class="lead">{words.chainWhat}</p>
      {declared && (
        <Notice kind="empty">
          <p>{words.chainDeclared}</p>
        </Notice>
      )}
      <div class="over-time-tools">
        <button
          type="button"
          onClick={() => save(new Blob([JSON.stringify(of, null, 2)], { type: "application/json" }), fileName(of))}
        >
          {words.saveJson}
        </button>
      </div>
      <Heads heads={of.heads} />
      {of.agents.map((agent) => (
        <ChainOf key={agent.id} agent={agent} />
      ))}
    </>
  );
}

function fileName(of: Traceability): string {
  const name = of.period.month ?? `${of.period.from.slice(0, 10)}-${of.period.to.slice(0, 10)}`;
  return `angbu-traceability-${of.customer}-${name}.json`.replace(/[^A-Za-z0-9._-]/g, "_");
}

function shown(agent: AgentChain): string {
  const whole = agent.proven_ms + agent.declared_ms + agent.broken_ms;
  return percent(agent.proven_ms + agent.declared_ms, whole);
}

function Heads({ heads }: { readonly heads: readonly ChainHead[] }): JSX.Element | null {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  if (heads.length === 0) return null;
  return (
    <section>
      <h2>{words.chainHeads}</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.since}</th>
            <th scope="col">{words.source}</th>
            <th scope="col" class="figure">
              {words.adds}
            </th>
            <th scope="col">{words.entry}</th>
          </tr>
        </thead>
        <tbody>
          {heads.map((head) => (
            <tr key={head.since}>
              <td>
                <When at={head.since} digits={0} />
              </td>
              <td>
                {headWord(words, head.kind)} <small>{head.name}</small>
                {head.calibrated_by.map((by) => (
                  <div key={by}>
                    <small>{words.calibratedBy({ by })}</small>
                  </div>
                ))}
              </td>
              <td class="figure" data-label={words.adds}>
                {head.bound_ns === 0 ? "–" : duration(head.bound_ns)}
              </td>
              <td data-label={words.entry}>
                {told(head).map((index) => (
                  <span key={index}>
                    {may("evidence.read") && may("site.read") ? <Link href={address(entryPath(index))}>{index}</Link> : index}{" "}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Of the clock states the first few; the calibrations stand last, and are told all. */
function told({ entries, calibrated_by }: ChainHead): readonly number[] {
  const states = entries.length - calibrated_by.length;
  return [...entries.slice(0, Math.min(3, states)), ...entries.slice(states)];
}

function headWord(words: Words, kind: string): string {
  return coded(words, "head", kind);
}

function ChainOf({ agent }: { readonly agent: AgentChain }): JSX.Element {
  const { words, language } = useSpeech();
  const bound = (ns: number | null | undefined): string => (ns == null ? "–" : duration(ns));
  return (
    <section>
      <h2>
        {agent.name} <small class="soft">{shown(agent)}</small>
      </h2>
      <table class="links">
        <thead>
          <tr>
            <th scope="col">{words.link}</th>
            <th scope="col" class="figure">
              {words.typical}
            </th>
            <th scope="col" class="figure">
              {words.atMost}
            </th>
            <th scope="col" class="figure">
              {words.broken}
            </th>
          </tr>
        </thead>
        <tbody>
          {agent.links.map((link) => (
            <tr key={link.place}>
              <th scope="row">{coded(words, "link", link.place)}</th>
              <td class="figure" data-label={words.typical}>
                {bound(link.typical_ns)}
              </td>
              <td class="figure" data-label={words.atMost}>
                {bound(link.greatest_ns)}
              </td>
              <td class="figure" data-label={words.broken}>
                {link.broken_ms === 0 ? "–" : span(link.broken_ms, language)}
              </td>
            </tr>
          ))}
          <tr class="sum">
            <th scope="row">{words.linkSum}</th>
            <td class="figure" data-label={words.typical}>
              {bound(agent.typical_ns)}
            </td>
            <td class="figure" data-label={words.atMost}>
              {bound(agent.greatest_ns)}
            </td>
            <td class="figure" data-label={words.broken}>
              {agent.broken_ms === 0 ? "–" : span(agent.broken_ms, language)}
            </td>
          </tr>
        </tbody>
      </table>
      <p class="soft">
        {words.rts25}{" "}
        {agent.rts25
          .map((rung) => words.rts25Share({ limit: duration(rung.limit_ns), share: percent(rung.within_ms, agent.proven_ms + agent.declared_ms + agent.broken_ms) }))
          .join(" · ")}
      </p>
      <Gaps agent={agent} />
    </section>
  );
}

function Gaps({ agent }: { readonly agent: AgentChain }): JSX.Element {
  const { words, language } = useSpeech();
  if (agent.gaps.length === 0) return <p class="soft">{words.gapsNone}</p>;
  const rest = agent.gaps.length - ROWS + agent.gaps_left_out;
  return (
    <details class="rows">
      <summary>
        {words.gaps} <small>{count(agent.gaps.length + agent.gaps_left_out, language)}</small>
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.from}</th>
            <th scope="col" class="figure">
              {words.length}
            </th>
            <th scope="col">{words.link}</th>
            <th scope="col">{words.why}</th>
          </tr>
        </thead>
        <tbody>
          {agent.gaps.slice(0, ROWS).map((gap) => (
            <tr key={gap.from_ms}>
              <td>
                <When at={gap.from_ms} digits={0} />
              </td>
              <td class="figure" data-label={words.length}>
                {span(gap.to_ms - gap.from_ms, language)}
              </td>
              <td>{coded(words, "link", gap.place)}</td>
              <td>{coded(words, "why", gap.why)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rest > 0 && <p class="soft">{words.intervalsLeftOut({ count: count(rest, language) })}</p>}
    </details>
  );
}
