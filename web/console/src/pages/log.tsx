import type { JSX } from "preact";
import { answer, api } from "@angbu/shared/client";
import { clockBoundNs, useCentre } from "../centre";
import { readHead, verifyReport, verifyWithPython } from "../commands";
import { ago, count, digitsFor } from "../format";
import { useNews } from "../live";
import { Copyable } from "../parts/copy";
import { EntryTable } from "../parts/entry-table";
import { Fact, Facts } from "../parts/facts";
import { Loaded } from "../parts/loaded";
import { useTitle } from "../parts/title";
import { instantOf, When } from "../parts/when";
import { useResource } from "../resource";
import { Link, useRouter } from "../router";
import { useMay, useSession } from "../session";
import { useSpeech } from "../words";
import { GrowthSection } from "./log/growth";
import { KeysSection } from "./log/keys";
import { KindsSection } from "./log/kinds";
import { WitnessesSection } from "./log/witnesses";

/** What stands in the log, who else has seen it, and how does a stranger check it? */
export function LogPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { centre, now } = useCentre();
  const may = useMay();
  const { log } = centre;
  useTitle(words.log);
  const size = count(log.size, language);
  const signed = log.signed_at;
  return (
    <>
      <h1>
        {typeof signed === "string"
          ? words.logFirst({ count: size, ago: ago(now() - instantOf(signed).ms, language) })
          : words.logFirstUnsigned({ count: size })}
      </h1>
      <p class="lead">{words.logWhat}</p>
      <Facts title={words.logHead}>
        <Fact name={words.logOrigin}>
          <code>{log.origin}</code>
        </Fact>
        <Fact name={words.logSize}>{size}</Fact>
        <Fact name={words.logRoot}>
          <Copyable text={log.root} />
        </Fact>
        <Fact name={words.logSigned}>
          {typeof signed === "string" ? <When at={signed} digits={digitsFor(clockBoundNs(centre.clock))} /> : "–"}
        </Fact>
        <Fact name={words.logKey}>
          <Copyable text={log.key} />
          <p class="soft">{words.logKeyWhy}</p>
        </Fact>
      </Facts>
      {may("evidence.read") && (
        <>
          <GrowthSection />
          <WitnessesSection />
          <KindsSection />
          <Newest />
        </>
      )}
      <section>
        <h2>{words.logCheck}</h2>
        <h3>{words.logCheckReport}</h3>
        <Copyable text={verifyReport("report.html", log.key)} />
        <h3>{words.logCheckPython}</h3>
        <Copyable text={verifyWithPython("report.html", log.key)} />
        <h3>{words.logCheckHead}</h3>
        <Copyable text={readHead(window.location.origin)} />
        <h3>{words.logCheckpoint}</h3>
        <pre>{log.checkpoint}</pre>
      </section>
      {may("operator") && <KeysSection />}
    </>
  );
}

/** A few, to see that something happens; the rest has a page of its own. */
const NEWEST = 6;

function Newest(): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const own = useSession().staff.customer?.name;
  const list = useResource("newest", () =>
    answer(api.GET("/api/v1/evidence/entries", { params: { query: { limit: NEWEST, customer: own } } })),
  );
  useNews((news) => news.kind === "tick" && list.reload());
  return (
    <section>
      <h2>{words.entriesNewest}</h2>
      <Loaded of={list}>{({ entries }) => <EntryTable entries={entries} />}</Loaded>
      <p class="after">
        <Link href={address("/log/entries")}>{words.entriesAll}</Link>
      </p>
    </section>
  );
}
