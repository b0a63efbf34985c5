import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Agent, answer, api, type Customer, type Graph } from "@angbu/shared/client";
import { clockBoundNs, useCentre } from "../centre";
import { dateAndClock, percent, span, zoneName } from "../format";
import { GraphFigure } from "../graph/graph";
import type { ScaleName } from "../graph/layout";
import { useNews } from "../live";
import { bounds, type Chosen, chosenPeriod, refreshMs, short } from "../period";
import { useResource } from "../resource";
import { customerPath, Link, useRouter } from "../router";
import { periodSentence, VERDICTS } from "../verdict";
import { useSpeech, type Words } from "../words";
import { ExportLinks } from "./export";
import { MarkTable, PeriodTable } from "./graph-tables";
import { VerdictMark } from "./mark";
import { PeriodChooser } from "./period-chooser";
import { Notice, Refusal } from "./refusal";
import { ReportButton } from "./report";

/** More points than pixels would say nothing more. */
const POINTS = 800;

/** One server over the chosen period: in a sentence, in shares, in the graph, and period by period. */
export function AgentOverTime({ agent, customer }: { readonly agent: Agent; readonly customer: Customer }): JSX.Element {
  const { words } = useSpeech();
  const { centre, now } = useCentre();
  const { query } = useRouter();
  const chosen = chosenPeriod(query);
  const shown: ScaleName = query.get("scale") === "data" ? "data" : "tolerance";
  const [fixedFrom, fixedTo] = chosen.kind === "fixed" ? [chosen.fromMs, chosen.toMs] : [0, 0];
  const key = `${agent.id} ${chosen.kind === "last" ? chosen.length : `${fixedFrom} ${fixedTo}`}`;
  const graph = useResource<Graph>(
    key,
    () => {
      const [from, to] = bounds(chosen, now());
      const wanted = { from: short(from), to: short(to), points: POINTS };
      return answer(api.GET("/api/v1/time/agents/{agent}/graph", { params: { path: { agent: agent.id }, query: wanted } }));
    },
    true,
  );
  useMoving(agent.id, chosen, graph.reload);

  return (
    <section class="over-time" aria-labelledby="over-time">
      <h2 id="over-time">{words.agentNow({ agent: agent.name })}</h2>
      <div class="over-time-tools">
        <PeriodChooser chosen={chosen} path={customerPath(customer.name)} />
        <ReportButton customer={customer.name} bounds={() => bounds(chosen, now())} logKey={centre.log.key} />
        <ExportLinks agent={agent.id} bounds={() => bounds(chosen, now())} />
      </div>
      {graph.refused !== undefined && <Refusal refused={graph.refused} again={graph.reload} />}
      {graph.data !== undefined && (
        <>
          <p class="sentence">
            {periodSentence(words, agent.name, graph.data.tolerance_ns, periodWords(words, chosen), graph.data.totals)}
          </p>
          <Shares graph={graph.data} />
          <Sealed graph={graph.data} />
          <div class="graph-head">
            <ScaleChooser shown={shown} />
          </div>
          <GraphFigure
            graph={graph.data}
            agent={agent.name}
            shown={shown}
            busy={graph.busy}
            boundNs={clockBoundNs(centre.clock)}
            reference={centre.clock.verdict}
          />
          {graph.data.points.length === 0 && (
            <Notice kind="empty">
              <p>
                <strong>{words.graphEmpty}</strong> {words.graphEmptyNext}
              </p>
            </Notice>
          )}
          <PeriodTable graph={graph.data} />
          <MarkTable graph={graph.data} />
        </>
      )}
    </section>
  );
}

/** Asks again while the period moves: after news of this agent, as often as the graph could show a difference. */
function useMoving(agent: string, chosen: Chosen, reload: () => void): void {
  const asked = useRef(performance.now());
  const later = useRef<number | undefined>(undefined);
  const [everyMs, moving] = [refreshMs(...bounds(chosen, 0)), chosen.kind === "last"];
  const ask = (): void => {
    window.clearTimeout(later.current);
    const wait = asked.current + everyMs - performance.now();
    later.current = window.setTimeout(() => {
      asked.current = performance.now();
      reload();
    }, Math.max(0, wait));
  };
  useNews((news) => {
    if (!moving) return;
    if (news.kind === "tick") ask();
    if (news.kind === "exchange" && news.exchange.agent === agent) ask();
    if (news.kind === "event" && news.mark.agent === agent) ask();
  });
  useEffect(() => () => window.clearTimeout(later.current), []);
}

function periodWords(words: Words, chosen: Chosen): string {
  if (chosen.kind === "last") return words[`last.${chosen.length}`];
  const text = (ms: number): string => dateAndClock({ ms, ns: 0 }, "reader", 0).replace(/:00$/, "");
  return `${words.fromTo({ from: text(chosen.fromMs), to: text(chosen.toMs) })} (${zoneName(chosen.toMs)})`;
}

function Shares({ graph }: { readonly graph: Graph }): JSX.Element {
  const { words, language } = useSpeech();
  const { totals } = graph;
  const lengths = { within: totals.within_ms, outside: totals.outside_ms, "not-proven": totals.not_proven_ms };
  const whole = lengths.within + lengths.outside + lengths["not-proven"];
  return (
    <ul class="shares" aria-label={words.strip}>
      {VERDICTS.map((verdict) => (
        <li key={verdict} class={lengths[verdict] === 0 ? "is-none" : ""}>
          <VerdictMark verdict={verdict} size={22} />
          <b>{percent(lengths[verdict], whole)}</b>
          <span>
            {words[verdict]}
            <small>{span(lengths[verdict], language)}</small>
          </span>
        </li>
      ))}
    </ul>
  );
}

/** How many exchanges bear the centre's seal, where anything was shown of any. */
function Sealed({ graph }: { readonly graph: Graph }): JSX.Element | null {
  const { words, language } = useSpeech();
  const { exchanges, proven, late, refused } = graph.proofs;
  if (proven === 0 && refused === 0) return null;
  const count = (n: number): string => n.toLocaleString(language);
  const said = [
    words.sealed({ count: count(exchanges), proven: count(proven) }),
    late > 0 ? words.sealedLate({ count: count(late) }) : "",
    refused > 0 ? words.sealedRefused({ count: count(refused) }) : "",
  ];
  return <p class="soft">{said.filter((part) => part !== "").join(" ")}</p>;
}

function ScaleChooser({ shown }: { readonly shown: ScaleName }): JSX.Element {
  const { words } = useSpeech();
  const { path, query, address } = useRouter();
  const others = Object.fromEntries([...query.entries()].filter(([name]) => name !== "lang" && name !== "scale"));
  const scales = { tolerance: words.scaleTolerance, data: words.scaleData };
  return (
    <nav class="choice" aria-label={words.scale}>
      <span>{words.scale}</span>
      {(["tolerance", "data"] as const).map((each) => (
        <Link
          key={each}
          href={address(path, each === "data" ? { ...others, scale: each } : others)}
          aria-current={each === shown ? "true" : undefined}
        >
          {scales[each]}
        </Link>
      ))}
    </nav>
  );
}
