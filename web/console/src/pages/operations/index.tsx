import type { JSX } from "preact";
import { answer, api, type CentreOperations, type Operations, type ClockState, type SourceOverTime } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { count, dateAndClock, duration, NBSP, span } from "../../format";
import { useNews } from "../../live";
import { Fact, Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { PeriodChooser } from "../../parts/period-chooser";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { bounds, type Chosen, chosenPeriod, short } from "../../period";
import { useResource } from "../../resource";
import { entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { coded, useSpeech, type Words } from "../../words";
import { CalibrationsSection } from "./calibrations";
import { ClockStrip, SourceFigure } from "./strip";

const PATH = "/centre/operations";
const POINTS = 200;
/** So many rows of a table are enough to see what happens; the rest is in the log. */
const ROWS = 20;

/** What did the centre's clock rest on, and what ran when? */
export function OperationsPage(): JSX.Element {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const { now } = useCentre();
  const chosen = chosenPeriod(query, "7d");
  const key = chosen.kind === "last" ? chosen.length : `${chosen.fromMs} ${chosen.toMs}`;
  const operations = useResource(
    key,
    async () => {
      const [fromMs, toMs] = bounds(chosen, now());
      const wanted = { from: short(fromMs), to: short(toMs), points: POINTS };
      return answer(api.GET("/api/v1/time/operations", { params: { query: wanted } }));
    },
    true,
  );
  useNews((news) => {
    if (news.kind === "tick" && chosen.kind === "last") operations.reload();
  });
  useTitle(words.operations);
  return (
    <>
      <p class="kicker">
        <Link href={address("/centre")}>{words.centre}</Link>
      </p>
      <Loaded of={operations}>
        {(data) => (
          <>
            <h1>{firstSentence(words, data, periodText(words, chosen))}</h1>
            <PeriodChooser chosen={chosen} path={PATH} />
            {data.centres.map((centre) => (
              <CentreSection key={centre.name} centre={centre} operations={data} alone={data.centres.length === 1} />
            ))}
          </>
        )}
      </Loaded>
      <CalibrationsSection />
      <LogSection />
    </>
  );
}

/** The last of several centres says it for all: each of them was at least as long shown to be right. */
function firstSentence(words: Words, operations: Operations, period: string): string {
  const told = operations.centres.filter((centre) => ranMs(centre) > 0);
  const whole = Date.parse(operations.to) - Date.parse(operations.from);
  if (told.length === 0) return words.operationsNever({ period });
  const least = (of: (centre: CentreOperations) => number): number => Math.min(...told.map(of));
  const [proven, declared] = [least((centre) => centre.totals.proven_ms), least((centre) => centre.totals.declared_ms)];
  const bound = duration(Math.max(...told.map((centre) => centre.bound_ns ?? 0)));
  if (proven > 0 && proven >= declared) return words.operationsProven({ bound, share: share(proven, whole), period });
  if (declared > 0) return words.operationsDeclared({ bound, share: share(declared, whole), period });
  return words.operationsNothing({ period });
}

function periodText(words: Words, chosen: Chosen): string {
  if (chosen.kind === "last") return words[`last.${chosen.length}`];
  const text = (ms: number): string => dateAndClock({ ms, ns: 0 }, "reader", 0);
  return words.fromTo({ from: text(chosen.fromMs), to: text(chosen.toMs) });
}

function ranMs({ totals }: CentreOperations): number {
  return totals.proven_ms + totals.declared_ms + totals.unproven_ms;
}

/** In hundredths of a per cent, cut: 100 % is said of the whole only. */
export function share(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return `0${NBSP}%`;
  if (part >= whole) return `100${NBSP}%`;
  return `${String(Math.max(0.01, Math.floor((part / whole) * 10_000) / 100))}${NBSP}%`;
}

function CentreSection({ centre, operations, alone }: { readonly centre: CentreOperations; readonly operations: Operations; readonly alone: boolean }): JSX.Element {
  const { words, language } = useSpeech();
  const [fromMs, toMs] = [Date.parse(operations.from), Date.parse(operations.to)];
  const whole = toMs - fromMs;
  const { totals } = centre;
  const lengths = [
    ["proven", totals.proven_ms],
    ["declared", totals.declared_ms],
    ["unproven", totals.unproven_ms],
    ["down", totals.down_ms],
  ] as const;
  return (
    <>
      {!alone && <h2>{words.operationsOf({ centre: centre.name })}</h2>}
      <ClockStrip stretches={centre.stretches} fromMs={fromMs} toMs={toMs} />
      <Facts title={words.clockShares}>
        {lengths.map(
          ([verdict, ms]) =>
            ms > 0 && (
              <Fact key={verdict} name={words[`clock.${verdict}`]}>
                {share(ms, whole)} <span class="soft">({span(ms, language)})</span>
              </Fact>
            ),
        )}
        {typeof centre.bound_ns === "number" && <Fact name={words.largestBound}>{`±${NBSP}${duration(centre.bound_ns)}`}</Fact>}
      </Facts>
      <Sources sources={centre.sources} fromMs={fromMs} toMs={toMs} />
      <Runs centre={centre} />
      <States states={centre.states} />
    </>
  );
}

function Sources(props: { readonly sources: readonly SourceOverTime[]; readonly fromMs: number; readonly toMs: number }): JSX.Element {
  const { words, language } = useSpeech();
  const { sources, fromMs, toMs } = props;
  const name = (source: string): string => (source === "" ? words.sourceOwn : source);
  return (
    <section>
      <h2>{words.sources}</h2>
      {sources.length === 0 ? (
        <p>{words.sourcesNone}</p>
      ) : (
        <table class="agents">
          <thead>
            <tr>
              <th scope="col">{words.clockSourceOne}</th>
              <th scope="col">{words.reach}</th>
              <th scope="col" class="figure">
                {words.offsetRange}
              </th>
              <th scope="col" class="figure">
                {words.boundMost}
              </th>
              <th scope="col" class="figure">
                {words.stratum}
              </th>
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => {
              const sum = summed(source);
              return (
                <tr key={source.source}>
                  <th scope="row">{source.source === "" ? words.sourceOwn : <code>{source.source}</code>}</th>
                  <td data-label={words.reach}>
                    {share(sum.answered, sum.asked)}
                    <small>{words.reachOf({ answered: count(sum.answered, language), asked: count(sum.asked, language) })}</small>
                  </td>
                  <td class="figure" data-label={words.offset}>
                    {sum.answered === 0 || source.source === "" ? "–" : `${duration(sum.min)} … ${duration(sum.max)}`}
                  </td>
                  <td class="figure" data-label={words.bound}>
                    {sum.answered === 0 ? "–" : `±${NBSP}${duration(sum.bound)}`}
                  </td>
                  <td class="figure" data-label={words.stratum}>
                    {sum.answered === 0 ? "–" : sum.stratum}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      {sources.map((source) => (
        <figure key={source.source} class="source-figure">
          <figcaption>{source.source === "" ? words.sourceOwn : <code>{source.source}</code>}</figcaption>
          <SourceFigure
            points={source.points}
            fromMs={fromMs}
            toMs={toMs}
            label={source.source === "" ? words.boundGraph : words.sourceGraph({ source: name(source.source) })}
          />
        </figure>
      ))}
    </section>
  );
}

function summed({ points }: SourceOverTime): { asked: number; answered: number; min: number; max: number; bound: number; stratum: number } {
  const told = points.filter((point) => point.answered > 0);
  return {
    asked: points.reduce((sum, point) => sum + point.asked, 0),
    answered: points.reduce((sum, point) => sum + point.answered, 0),
    min: Math.min(...told.map((point) => point.offset_min_ns ?? 0)),
    max: Math.max(...told.map((point) => point.offset_max_ns ?? 0)),
    bound: Math.max(...told.map((point) => point.bound_ns ?? 0)),
    stratum: Math.max(...told.map((point) => point.stratum ?? 0)),
  };
}

function Runs({ centre }: { readonly centre: CentreOperations }): JSX.Element {
  const { words, language } = useSpeech();
  const { runs } = centre;
  return (
    <section>
      <h2>{words.runsOf}</h2>
      {runs.length === 0 ? (
        <p>{words.runsNone}</p>
      ) : (
        <table class="agents">
          <thead>
            <tr>
              <th scope="col">{words.run}</th>
              <th scope="col">{words.started}</th>
              <th scope="col">{words.runUntil}</th>
              <th scope="col">{words.state}</th>
              <th scope="col">{words.version}</th>
            </tr>
          </thead>
          <tbody>
            {runs.slice(0, ROWS).map((run) => (
              <tr key={run.run}>
                <th scope="row">{run.run}</th>
                <td data-label={words.started}>
                  <When at={run.started_at} digits={0} />
                </td>
                <td data-label={words.runUntil}>{run.end === "running" ? "–" : <When at={run.seen_at} digits={0} />}</td>
                <td data-label={words.state}>
                  {words[`run.${run.end}`]}
                  <small>{span(Date.parse(run.seen_at) - Date.parse(run.started_at), language)}</small>
                </td>
                <td data-label={words.version}>{run.version}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {runs.length > ROWS && <p class="soft">{words.newestRows({ count: count(ROWS, language) })}</p>}
    </section>
  );
}

function States({ states }: { readonly states: readonly ClockState[] }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  return (
    <section>
      <h2>{words.states}</h2>
      {states.length === 0 ? (
        <p>{words.statesNone}</p>
      ) : (
        <table class="agents">
          <thead>
            <tr>
              <th scope="col">{words.clockSince}</th>
              <th scope="col">{words.verdict}</th>
              <th scope="col">{words.clockSourceOne}</th>
              <th scope="col" class="figure">
                {words.bound}
              </th>
              <th scope="col">{words.referenceId}</th>
              <th scope="col" class="figure">
                {words.stratum}
              </th>
            </tr>
          </thead>
          <tbody>
            {states.slice(0, ROWS).map((state) => (
              <tr key={state.entry_id}>
                <th scope="row">
                  {may("site.read") ? (
                    <Link href={address(entryPath(state.entry_id))}>
                      <When at={state.since} digits={0} />
                    </Link>
                  ) : (
                    <When at={state.since} digits={0} />
                  )}
                </th>
                <td data-label={words.verdict}>
                  {words[`clock.${state.verdict}`]}
                  <small>{coded(words, "reason", state.reason)}</small>
                </td>
                <td data-label={words.clockSourceOne}>{state.source === "" ? "–" : <code>{state.source}</code>}</td>
                <td class="figure" data-label={words.bound}>
                  {state.verdict === "unproven" ? "–" : `±${NBSP}${duration(state.bound_ns)}`}
                </td>
                <td data-label={words.referenceId}>
                  <code>{state.reference_id}</code>
                </td>
                <td class="figure" data-label={words.stratum}>
                  {state.stratum}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {states.length > ROWS && <p class="soft">{words.newestRows({ count: count(ROWS, language) })}</p>}
    </section>
  );
}

function LogSection(): JSX.Element {
  const { words, language } = useSpeech();
  const { centre } = useCentre();
  const { address } = useRouter();
  const may = useMay();
  return (
    <section>
      <h2>{words.logAndWitnesses}</h2>
      <p>{words.logNow({ count: count(centre.log.size, language) })}</p>
      {may("evidence.read") && <Witnesses />}
      <p class="after">
        <Link href={address("/log")}>{words.log}</Link>
      </p>
    </section>
  );
}

function Witnesses(): JSX.Element {
  const { words } = useSpeech();
  const list = useResource("witnesses", async () => (await answer(api.GET("/api/v1/evidence/witnesses"))).witnesses);
  return (
    <Loaded of={list}>
      {(witnesses) => {
        const cosigned = witnesses.filter((each) => each.kind === "witness" && each.cosigned_at != null);
        return (
          <p>
            {cosigned.length === 0
              ? words.witnessesNobody
              : words.witnessesNow({ witnesses: cosigned.map((each) => each.name).join(words.and) })}
          </p>
        );
      }}
    </Loaded>
  );
}
