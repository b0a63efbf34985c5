import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Centre } from "@angbu/shared/client";
import { clockBoundNs, useCentre } from "../centre";
import { UPSTREAM_CONFIGURATION } from "../commands";
import { ago, clock, count, date, delayText, digitsFor, duration, measuredText, NBSP, span, zoneName } from "../format";
import { Copyable } from "../parts/copy";
import { Fact, Facts } from "../parts/facts";
import { useTitle } from "../parts/title";
import { instantOf, When } from "../parts/when";
import { entryPath, Link, useRouter } from "../router";
import { useMay } from "../session";
import { coded, useSpeech } from "../words";

/** How right is the centre's own clock, on which every verdict rests? */
export function CentrePage(): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const { centre } = useCentre();
  const may = useMay();
  useTitle(words.centre);
  const bound = duration(centre.clock.error_bound_ns);
  const first = {
    proven: words.centreFirstProven({ bound }),
    declared: words.centreFirstDeclared({ bound }),
    unproven: words.centreFirstUnproven,
  }[centre.clock.verdict];
  return (
    <>
      <h1>{first}</h1>
      <TimeNow />
      {may("time.read") && (
        <p class="after">
          <Link href={address("/centre/operations")}>{words.operationsLink}</Link>
        </p>
      )}
      <div class="columns">
        <Clock centre={centre} />
        <div>
          <Software centre={centre} />
          {may("site.read") && <TimeServer centre={centre} />}
        </div>
      </div>
      {may("site.read") && <Upstreams centre={centre} />}
    </>
  );
}

/** The time by the centre's clock, to the digit that is known here: its own bound and the way of the answer together. */
function TimeNow(): JSX.Element {
  const { words } = useSpeech();
  const { centre, fix, now } = useCentre();
  const [, draw] = useState(0);
  const boundNs = clockBoundNs(centre.clock) + fix.uncertaintyMs * 1e6;
  // What moves faster than the eye reads says nothing more.
  const digits = Math.min(1, digitsFor(boundNs));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  useEffect(() => {
    const timer = window.setInterval(() => draw((turn) => turn + 1), digits > 0 && !still ? 100 : 1_000);
    return () => window.clearInterval(timer);
  }, [digits, still]);
  const at = { ms: Math.floor(now()), ns: 0 };
  const zone = zoneName(at.ms);
  return (
    <div class="time-now" role="timer" aria-label={words.centreNow}>
      <span class="time-now-label">{words.centreNow}</span>
      <span class="time-now-clock">{clock(at, "reader", still ? 0 : digits)}</span>
      <span class="time-now-rest">
        {date(at, "reader")} {zone}
        {zone !== "UTC" && (
          <>
            <br />
            {clock(at, "utc", 0)} UTC
          </>
        )}
      </span>
      <span class="time-now-rest">
        {Number.isFinite(boundNs) && (
          <>
            ±&nbsp;{duration(boundNs)} {words.onThisScreen}
            <br />
          </>
        )}
        {words[`clock.${centre.clock.verdict}`]}
      </span>
    </div>
  );
}

function Clock({ centre }: { readonly centre: Centre }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  const own = centre.clock;
  return (
    <Facts title={words.centreClock}>
      <Fact name={words.clockVerdict}>{words[`clock.${own.verdict}`]}</Fact>
      <Fact name={words.clockBound}>{own.verdict === "unproven" ? words.unknown : `±${NBSP}${duration(own.error_bound_ns)}`}</Fact>
      <Fact name={words.clockSource}>{coded(words, "source", own.source === "" ? "none" : own.source)}</Fact>
      <Fact name={words.clockReason}>{coded(words, "reason", own.reason)}</Fact>
      <Fact name={words.clockSince}>
        <When at={own.since} digits={0} />
      </Fact>
      <Fact name={words.stratum}>{own.stratum}</Fact>
      <Fact name={words.leap}>{words[`leap.${own.leap}`]}</Fact>
      <Fact name={words.rootDelay}>{duration(own.root_delay_ns)}</Fact>
      <Fact name={words.rootDispersion}>{duration(own.root_dispersion_ns)}</Fact>
      <Fact name={words.referenceId}>
        <code>{own.reference_id}</code>
      </Fact>
      {typeof own.entry === "number" && (
        <Fact name={words.clockEntry}>
          {may("evidence.read") ? <Link href={address(entryPath(own.entry))}>{own.entry}</Link> : own.entry}
        </Fact>
      )}
    </Facts>
  );
}

function TimeServer({ centre }: { readonly centre: Centre }): JSX.Element {
  const { words, language } = useSpeech();
  const { ntp } = centre;
  return (
    <Facts title={words.ntpServer}>
      <Fact name={words.ntpAddress}>{ntp.address == null ? "–" : <code>{ntp.address}</code>}</Fact>
      <Fact name={words.ntpAnswered}>{count(ntp.answered, language)}</Fact>
      {Object.entries(ntp.dropped).map(([reason, dropped]) => (
        <Fact key={reason} name={`${words.ntpDropped}: ${coded(words, "drop", reason.replaceAll("_", "-"))}`}>
          {count(dropped, language)}
        </Fact>
      ))}
    </Facts>
  );
}

function Software({ centre }: { readonly centre: Centre }): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  return (
    <Facts title={words.software}>
      <Fact name={words.centreName}>{centre.name}</Fact>
      <Fact name={words.version}>{centre.version}</Fact>
      <Fact name={words.uptime}>{span(now() - instantOf(centre.started_at).ms, language)}</Fact>
      <Fact name={words.started}>
        <When at={centre.started_at} digits={0} />
      </Fact>
      <Fact name={words.httpAddress}>
        <code>{centre.http.address}</code>
      </Fact>
      <Fact name={words.store}>{centre.store.kind}</Fact>
    </Facts>
  );
}

function Upstreams({ centre }: { readonly centre: Centre }): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  return (
    <section>
      <h2>{words.upstreams}</h2>
      {centre.upstreams.length === 0 ? (
        <>
          <p>{words.upstreamsNone}</p>
          <Copyable text={UPSTREAM_CONFIGURATION} />
        </>
      ) : (
        <table class="agents">
          <thead>
            <tr>
              <th scope="col">{words.address}</th>
              <th scope="col">{words.reachable}</th>
              <th scope="col" class="figure">
                {words.stratum}
              </th>
              <th scope="col" class="figure">
                {words.offset}
              </th>
              <th scope="col" class="figure">
                {words.delay}
              </th>
              <th scope="col">{words.lastSeen}</th>
            </tr>
          </thead>
          <tbody>
            {centre.upstreams.map((each) => (
              <tr key={each.address}>
                <th scope="row">
                  <code>{each.address}</code>
                </th>
                <td data-label={words.reachable}>{each.reachable ? words.yes : words.no}</td>
                <td class="figure" data-label={words.stratum}>
                  {each.stratum ?? "–"}
                </td>
                <td class="figure" data-label={words.offset}>
                  {typeof each.offset_ns === "number" && typeof each.bound_ns === "number"
                    ? measuredText(each.offset_ns, each.bound_ns)
                    : "–"}
                </td>
                <td class="figure" data-label={words.delay}>
                  {typeof each.delay_ns === "number" ? delayText(each.delay_ns) : "–"}
                </td>
                <td data-label={words.lastSeen}>
                  {typeof each.last_at === "string" ? ago(now() - instantOf(each.last_at).ms, language) : words.neverSeen}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
