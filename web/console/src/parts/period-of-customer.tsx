// A customer's period: in a sentence, in shares, server by server, and interval by interval. The same for whoever signed in and for
// whoever has a link.
import type { ComponentChildren, JSX } from "preact";
import { useId, useMemo, useRef } from "preact/hooks";
import type { AgentPeriods, AskedPeriod, CustomerPeriods, PeriodShares } from "@angbu/shared/client";
import { count, duration, percent, span } from "../format";
import { scale } from "../graph/axis";
import { Hatch } from "../graph/graph";
import { HEIGHT } from "../graph/layout";
import { Strip } from "../graph/plots";
import { useWidth } from "../graph/width";
import { localText, monthName } from "../month";
import { periodSentence, VERDICTS } from "../verdict";
import { coded, type Language, useSpeech, type Words } from "../words";
import { VerdictMark } from "./mark";
import { Notice } from "./refusal";
import { save } from "./save";
import { instantOf, When } from "./when";

/** Rows that a page shows of one server; the file has them all. */
const ROWS = 200;

/** "October 2026", or "the time from 2026-10-01 to 2026-10-08". */
export function periodName(words: Words, language: Language, period: AskedPeriod): string {
  if (period.month != null) return monthName(period.month, language);
  return words.periodDays({ from: localText(period.from_local), to: localText(period.to_local) });
}

/** "The servers of demo were within 50 ms for 99.2 % of October 2026; 0.8 % is not proven." */
export function customerPeriodSentence(words: Words, language: Language, of: CustomerPeriods): string {
  const period = periodName(words, language, of.period);
  const [only] = of.agents;
  if (only === undefined) return words.serversNone({ customer: of.customer, period });
  const [held] = of.tolerances;
  const one = of.tolerances.length === 1 ? held?.tolerance_ns : undefined;
  if (of.agents.length === 1 && one !== undefined) return periodSentence(words, only.name, one, period, only.totals);
  const tolerance = one === undefined ? words.theirTolerance : duration(one);
  const { within_ms: within, outside_ms: outside, not_proven_ms: notProven } = of.totals;
  const whole = within + outside + notProven;
  const said = { customer: of.customer, tolerance, period };
  if (whole > 0 && within === whole) return words.serversAll({ ...said, count: count(of.agents.length, language) });
  const rest = [
    outside > 0 ? words.partOutside({ share: percent(outside, whole) }) : "",
    notProven > 0 || whole === 0 ? words.partNotProven({ share: percent(notProven, whole) }) : "",
  ]
    .filter((part) => part !== "")
    .join(words.and);
  if (within === 0) return words.serversNever({ ...said, rest });
  return words.serversPart({ ...said, share: percent(within, whole), rest });
}

export function PeriodOfCustomer(props: { readonly of: CustomerPeriods; readonly tools?: ComponentChildren }): JSX.Element {
  const { words, language } = useSpeech();
  const { of } = props;
  const { period } = of;
  const hours = count(period.length_ms / 3_600_000, language);
  const going = period.until !== period.to;
  return (
    <>
      <Shares totals={of.totals} />
      <div class="period-facts soft">
        <p>
          {localText(period.from_local)} – {localText(period.to_local)} {period.zone} ·{" "}
          {words.periodLength({ length: span(period.length_ms, language), hours })}
          {going && ` · ${words.notOver}`}
        </p>
        {of.tolerances.length > 0 && (
          <p>
            {words.tolerancesHeld}:{" "}
            {of.tolerances.length === 1
              ? duration(of.tolerances[0]!.tolerance_ns)
              : of.tolerances
                  .map((each) => words.toleranceSince({ tolerance: duration(each.tolerance_ns), when: each.since.slice(0, 16).replace("T", " ") }))
                  .join("; ")}
          </p>
        )}
      </div>
      <div class="over-time-tools">
        {props.tools}
        {of.agents.length > 0 && (
          <button type="button" onClick={() => save(new Blob([JSON.stringify(of, null, 2)], { type: "application/json" }), jsonName(of))}>
            {words.saveJson}
          </button>
        )}
      </div>
      {of.agents.length === 0 ? (
        <Notice kind="empty">
          <p>{words.serversNoneNext}</p>
        </Notice>
      ) : (
        <Agents of={of} />
      )}
    </>
  );
}

/** Names hold nothing that a file's name may not hold, and neither do days. */
function jsonName(of: CustomerPeriods): string {
  const name = of.period.month ?? `${of.period.from.slice(0, 10)}-${of.period.to.slice(0, 10)}`;
  return `angbu-time-${of.customer}-${name}.json`.replace(/[^A-Za-z0-9._-]/g, "_");
}

function Shares({ totals }: { readonly totals: PeriodShares }): JSX.Element {
  const { words, language } = useSpeech();
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

function Agents({ of }: { readonly of: CustomerPeriods }): JSX.Element {
  const { words, language } = useSpeech();
  return (
    <section>
      <h2>{words.ofServers}</h2>
      <table class="servers-of-period">
        <thead>
          <tr>
            <th scope="col">{words.server}</th>
            {VERDICTS.map((verdict) => (
              <th key={verdict} scope="col" class="figure">
                {words[verdict]}
              </th>
            ))}
            <th scope="col">{words.mainReason}</th>
            <th scope="col" class="figure">
              {words.exchanges}
            </th>
          </tr>
        </thead>
        <tbody>
          {of.agents.map((agent) => (
            <tr key={agent.id}>
              <th scope="row">{agent.name}</th>
              {VERDICTS.map((verdict) => (
                <td key={verdict} class="figure" data-label={words[verdict]}>
                  <Share of={agent} verdict={verdict} />
                </td>
              ))}
              <td data-label={words.mainReason}>{mainReason(words, agent)}</td>
              <td class="figure" data-label={words.exchanges}>
                {count(agent.exchanges, language)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>{words.intervals}</h2>
      {of.agents.map((agent) => (
        <Intervals key={agent.id} agent={agent} period={of.period} />
      ))}
    </section>
  );
}

function Share({ of, verdict }: { readonly of: AgentPeriods; readonly verdict: (typeof VERDICTS)[number] }): JSX.Element {
  const { totals } = of;
  const lengths = { within: totals.within_ms, outside: totals.outside_ms, "not-proven": totals.not_proven_ms };
  const whole = lengths.within + lengths.outside + lengths["not-proven"];
  return <span class={lengths[verdict] === 0 ? "soft" : ""}>{percent(lengths[verdict], whole)}</span>;
}

/** The reason of most of what is not within. */
function mainReason(words: Words, agent: AgentPeriods): string {
  const reason = agent.reasons.find((each) => each.verdict !== "within");
  return reason === undefined ? "–" : coded(words, "why", reason.why);
}

function Intervals({ agent, period }: { readonly agent: AgentPeriods; readonly period: AskedPeriod }): JSX.Element {
  const { words, language } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const hatch = useId();
  const [fromMs, toMs] = [instantOf(period.from).ms, instantOf(period.to).ms];
  const x = useMemo(() => scale([fromMs, toMs], [0, width]), [fromMs, toMs, width]);
  const told = agent.periods.slice(0, ROWS);
  const rest = agent.periods.length - told.length + agent.periods_left_out;
  return (
    <div class="intervals">
      <h3>{agent.name}</h3>
      <div ref={box} class="interval-strip" aria-hidden="true">
        {width > 0 && (
          <svg viewBox={`0 0 ${width} ${HEIGHT.strip}`} width={width} height={HEIGHT.strip}>
            <Hatch id={hatch} />
            <Strip at={{ stripTop: 0, x, fromMs, toMs }} graph={agent} hatch={hatch} />
          </svg>
        )}
      </div>
      <details class="rows">
        <summary>
          {words.intervalsOf({ agent: agent.name })} <small>{count(agent.periods.length + agent.periods_left_out, language)}</small>
        </summary>
        <table>
          <thead>
            <tr>
              <th scope="col">{words.from}</th>
              <th scope="col" class="figure">
                {words.length}
              </th>
              <th scope="col">{words.verdict}</th>
              <th scope="col">{words.why}</th>
            </tr>
          </thead>
          <tbody>
            {told.map((each) => (
              <tr key={each.from_ms}>
                <td>
                  <When at={each.from_ms} digits={0} />
                </td>
                <td class="figure" data-label={words.length}>
                  {span(each.to_ms - each.from_ms, language)}
                </td>
                <td>
                  <VerdictMark verdict={each.verdict} /> {words[each.verdict]}
                </td>
                <td>{coded(words, "why", each.why)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {rest > 0 && <p class="soft">{words.intervalsLeftOut({ count: count(rest, language) })}</p>}
      </details>
    </div>
  );
}
