import type { JSX } from "preact";
import { clockBoundNs, useCentre } from "../centre";
import { readHead, verifyReport, verifyWithPython } from "../commands";
import { ago, count, digitsFor } from "../format";
import { Copyable } from "../parts/copy";
import { useTitle } from "../parts/title";
import { instantOf, When } from "../parts/when";
import { useSpeech } from "../words";

/** What stands in the log, and how does a stranger check it? */
export function LogPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { centre, now } = useCentre();
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
      <section>
        <h2>{words.logHead}</h2>
        <dl class="facts">
          <dt>{words.logOrigin}</dt>
          <dd>
            <code>{log.origin}</code>
          </dd>
          <dt>{words.logSize}</dt>
          <dd>{size}</dd>
          <dt>{words.logRoot}</dt>
          <dd>
            <Copyable text={log.root} />
          </dd>
          <dt>{words.logSigned}</dt>
          <dd>{typeof signed === "string" ? <When at={signed} digits={digitsFor(clockBoundNs(centre.clock))} /> : "–"}</dd>
          <dt>{words.logKey}</dt>
          <dd>
            <Copyable text={log.key} />
            <p class="soft">{words.logKeyWhy}</p>
          </dd>
        </dl>
        <h3>{words.logCheckpoint}</h3>
        <pre>{log.checkpoint}</pre>
      </section>
      <section>
        <h2>{words.logCheck}</h2>
        <h3>{words.logCheckReport}</h3>
        <Copyable text={verifyReport("report.html", log.key)} />
        <h3>{words.logCheckPython}</h3>
        <Copyable text={verifyWithPython("report.html", log.key)} />
        <h3>{words.logCheckHead}</h3>
        <Copyable text={readHead(window.location.origin)} />
      </section>
    </>
  );
}
