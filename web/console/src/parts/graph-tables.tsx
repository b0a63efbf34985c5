// The graph once more, as tables: for a listener, for copying, and for whoever wants the words.
import type { JSX } from "preact";
import type { Graph } from "@angbu/shared/client";
import { count, span } from "../format";
import { markText } from "../graph/readout";
import { entryPath, Link, useRouter } from "../router";
import { useMay } from "../session";
import { coded, useSpeech } from "../words";
import { HappeningMark, VerdictMark } from "./mark";
import { When } from "./when";

/** A page stays readable; a shorter period shows the rest. */
const MOST = 200;

export function PeriodTable({ graph }: { readonly graph: Graph }): JSX.Element {
  const { words, language } = useSpeech();
  const newest = [...graph.periods].reverse();
  return (
    <details class="rows">
      <summary>
        {words.periodsInWords} <small>{count(graph.periods.length, language)}</small>
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
          {newest.slice(0, MOST).map((period) => (
            <tr key={period.from_ms}>
              <td>
                <When at={period.from_ms} digits={0} />
              </td>
              <td class="figure" data-label={words.length}>
                {span(period.to_ms - period.from_ms, language)}
              </td>
              <td>
                <VerdictMark verdict={period.verdict} /> {words[period.verdict]}
              </td>
              <td>{coded(words, "why", period.why)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {newest.length > MOST && <p class="soft">{words.moreRows({ count: count(newest.length - MOST, language) })}</p>}
    </details>
  );
}

export function MarkTable({ graph }: { readonly graph: Graph }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  const newest = [...graph.events].reverse();
  return (
    <details class="rows">
      <summary>
        {words.marksInWords} <small>{count(newest.length, language)}</small>
      </summary>
      {newest.length === 0 ? (
        <p class="soft">{words.marksNone}</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">{words.when}</th>
              <th scope="col">{words.what}</th>
              <th scope="col">{words.entry}</th>
            </tr>
          </thead>
          <tbody>
            {newest.slice(0, MOST).map((mark) => (
              <tr key={`${mark.at_ms}${mark.kind}`}>
                <td>
                  <When at={mark.at_ms} digits={0} />
                </td>
                <td>
                  <svg class="mark-inline" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                    <HappeningMark kind={mark.kind} x={8} y={8} />
                  </svg>{" "}
                  {markText(words, mark.kind, mark.difference_ns)}
                </td>
                <td data-label={words.entry}>
                  {mark.entry == null ? "–" : may("evidence.read") ? (
                    <Link href={address(entryPath(mark.entry))}>
                      <code>{mark.entry}</code>
                    </Link>
                  ) : (
                    <code>{mark.entry}</code>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {newest.length > MOST && <p class="soft">{words.moreRows({ count: count(newest.length - MOST, language) })}</p>}
    </details>
  );
}
