import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { type Agent, answer, api, type Graph, type Spread, type Trend } from "@angbu/shared/client";
import { clockBoundNs, useCentre } from "../../centre";
import { count, delayText, duration } from "../../format";
import { AllanFigure } from "../../graph/allan";
import { GraphFigure } from "../../graph/graph";
import { HistogramFigure } from "../../graph/histogram";
import { askedQuery } from "../../month";
import { Loaded } from "../../parts/loaded";
import { periodName } from "../../parts/period-of-customer";
import { save } from "../../parts/save";
import { useResource } from "../../resource";
import { partyPath, useRouter } from "../../router";
import { useSpeech } from "../../words";
import { MissingPage } from "../missing";
import { About, useAsked } from "./about";

const POINTS = 800;

interface Shown {
  readonly agents: readonly Agent[];
  readonly trend: Trend | undefined;
  readonly graph: Graph | undefined;
}

/** How does this server's clock run, and how much does its rate wander? */
export function TrendPage({ customer }: { readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const { query } = useRouter();
  const { asked, key } = useAsked();
  const wanted = query.get("agent");
  const of = useResource<Shown>(`${customer} ${key} ${wanted ?? ""}`, async () => {
    const { agents } = await answer(api.GET("/api/v1/time/agents", { params: { query: { customer } } }));
    const agent = wanted === null ? agents[0] : agents.find((each) => each.name === wanted);
    if (agent === undefined) return { agents, trend: undefined, graph: undefined };
    const path = { agent: agent.id };
    const trend = await answer(api.GET("/api/v1/time/agents/{agent}/trend", { params: { path, query: askedQuery(asked) } }));
    const { from, until } = trend.period;
    const graph = await answer(api.GET("/api/v1/time/agents/{agent}/graph", { params: { path, query: { from, to: until, points: POINTS } } }))
      // A year is the most that a graph covers; the figures stand without it.
      .catch(() => undefined);
    return { agents, trend, graph };
  });
  return (
    <About customer={customer} view="trend" title={words.pageTrend} shown={of.data?.trend?.period} chooses>
      <Loaded of={of} missing={<MissingPage what={words.missingCustomer({ customer })} />}>
        {({ agents, trend, graph }) =>
          trend === undefined ? (
            <h1>{wanted === null ? words.noServers({ customer }) : words.missingAgent({ agent: wanted, customer })}</h1>
          ) : (
            <TrendOf agents={agents} trend={trend} graph={graph} />
          )
        }
      </Loaded>
    </About>
  );
}

function TrendOf(props: { readonly agents: readonly Agent[]; readonly trend: Trend; readonly graph: Graph | undefined }): JSX.Element {
  const { words, language } = useSpeech();
  const { centre } = useCentre();
  const { trend, graph } = props;
  const period = periodName(words, language, trend.period);
  const { drift } = trend;
  const first =
    drift == null
      ? words.driftNone({ agent: trend.name, period })
      : words.driftFirst({ agent: trend.name, period, ppm: ppm(drift.ppm), low: ppm(drift.low_ppm), high: ppm(drift.high_ppm) });
  return (
    <>
      <h1>{first}</h1>
      <p class="lead">{words.driftWhat}</p>
      <div class="over-time-tools">
        <AgentChooser agents={props.agents} trend={trend} />
        <button
          type="button"
          onClick={() =>
            save(new Blob([JSON.stringify(trend, null, 2)], { type: "application/json" }), `angbu-trend-${trend.name}.json`.replace(/[^A-Za-z0-9._-]/g, "_"))
          }
        >
          {words.saveJson}
        </button>
      </div>
      {trend.runs > 0 && (
        <p class="soft">
          {words.exchanges}: {count(trend.exchanges, language)}. {words.runsWhat({ count: count(trend.runs, language) })}
        </p>
      )}
      {graph !== undefined && graph.points.length > 0 && (
        <GraphFigure graph={graph} agent={trend.name} shown="data" busy={false} boundNs={clockBoundNs(centre.clock)} reference={centre.clock.verdict} />
      )}
      {trend.allan.length > 0 && (
        <section>
          <h2>{words.allan}</h2>
          <p class="soft">{words.allanWhat}</p>
          <AllanFigure points={trend.allan} />
          <AllanTable trend={trend} />
        </section>
      )}
      <div class="columns">
        {trend.offset != null && <SpreadOf of={trend.offset} title={words.histogramOffset} text={duration} />}
        {trend.delay != null && <SpreadOf of={trend.delay} title={words.histogramDelay} text={delayText} />}
      </div>
    </>
  );
}

function AgentChooser({ agents, trend }: { readonly agents: readonly Agent[]; readonly trend: Trend }): JSX.Element | null {
  const { words } = useSpeech();
  const { query, address, go } = useRouter();
  const id = useId();
  const others = Object.fromEntries([...query.entries()].filter(([name]) => name !== "lang" && name !== "agent"));
  if (agents.length < 2) return null;
  return (
    <div class="chooser">
      <label for={id}>{words.server}</label>
      <select id={id} onChange={(event) => go(address(partyPath(trend.customer, "trend"), { ...others, agent: event.currentTarget.value }))}>
        {agents.map((agent) => (
          <option key={agent.id} value={agent.name} selected={agent.id === trend.agent}>
            {agent.name}
          </option>
        ))}
      </select>
    </div>
  );
}

function AllanTable({ trend }: { readonly trend: Trend }): JSX.Element {
  const { words, language } = useSpeech();
  return (
    <details class="rows">
      <summary>{words.inFigures}</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.allanTau}</th>
            <th scope="col" class="figure">
              {words.allanSigma}
            </th>
            <th scope="col" class="figure">
              {words.allanTerms}
            </th>
          </tr>
        </thead>
        <tbody>
          {trend.allan.map((point) => (
            <tr key={point.tau_ns}>
              <td>{duration(point.tau_ns)}</td>
              <td class="figure" data-label={words.allanSigma}>
                {point.deviation.toExponential(2)} ± {point.error.toExponential(1)}
              </td>
              <td class="figure" data-label={words.allanTerms}>
                {count(point.terms, language)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function SpreadOf(props: { readonly of: Spread; readonly title: string; readonly text: (ns: number) => string }): JSX.Element {
  const { words } = useSpeech();
  const { of, text } = props;
  const rows = [
    [words.least, of.least_ns],
    ["5 %", of.p5_ns],
    [words.median, of.median_ns],
    ["95 %", of.p95_ns],
    ["99 %", of.p99_ns],
    [words.greatest, of.greatest_ns],
  ] as const;
  return (
    <section>
      <h2>{props.title}</h2>
      <HistogramFigure of={of} name={props.title} />
      <table class="spread">
        <caption class="soft">{words.percentile}</caption>
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="figure">{text(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Three digits that mean something, with a true minus sign. */
function ppm(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4;
  return `${value > 0 ? "+" : ""}${value.toFixed(digits).replace("-", "−")}\u00a0ppm`;
}
