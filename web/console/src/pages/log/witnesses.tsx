import type { JSX } from "preact";
import { answer, api, type Witness } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { runWitness, WITNESS_CONFIGURATION } from "../../commands";
import { ago, count, sentence } from "../../format";
import { useNews } from "../../live";
import { Copyable } from "../../parts/copy";
import { Loaded } from "../../parts/loaded";
import { Notice } from "../../parts/refusal";
import { instantOf } from "../../parts/when";
import { useResource } from "../../resource";
import { coded, useSpeech } from "../../words";

/** Who else has seen this log, and how much of it? */
export function WitnessesSection(): JSX.Element {
  const { words, language } = useSpeech();
  const list = useResource("witnesses", async () => (await answer(api.GET("/api/v1/evidence/witnesses"))).witnesses);
  useNews((news) => news.kind === "tick" && list.reload());
  return (
    <section>
      <h2>{words.witnesses}</h2>
      <Loaded of={list}>
        {(witnesses) => (
          <>
            <p>{told(witnesses)}</p>
            {witnesses.length > 0 && <Table witnesses={witnesses} />}
            {witnesses.every((witness) => witness.kind !== "configured") && <HowTo />}
          </>
        )}
      </Loaded>
    </section>
  );

  function told(witnesses: readonly Witness[]): string {
    const troubled = witnesses.filter((witness) => witness.trouble != null).length;
    if (witnesses.length === 0) return words.witnessesNone;
    const said = { count: count(witnesses.length, language) };
    return troubled === 0 ? words.witnessesFirst(said) : words.witnessesTroubled({ ...said, troubled: count(troubled, language) });
  }
}

function Table({ witnesses }: { readonly witnesses: readonly Witness[] }): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{words.witness}</th>
          <th scope="col">{words.kind}</th>
          <th scope="col" class="figure">
            {words.witnessSize}
          </th>
          <th scope="col" class="figure">
            {words.witnessBehind}
          </th>
          <th scope="col">{words.witnessWhen}</th>
        </tr>
      </thead>
      <tbody>
        {witnesses.map((witness) => (
          <tr key={witness.key}>
            <th scope="row">
              {witness.agent == null ? witness.name : `${witness.customer ?? ""} / ${witness.agent}`}
              {witness.trouble != null && <small class="mistake">{sentence(witness.trouble)}</small>}
              <details class="key">
                <summary>{words.logKey}</summary>
                <Copyable text={witness.key} />
              </details>
            </th>
            <td data-label={words.kind}>{coded(words, "witness", witness.kind)}</td>
            <td class="figure" data-label={words.witnessSize}>
              {count(witness.size, language)}
            </td>
            <td class="figure" data-label={words.witnessBehind}>
              {witness.behind === 0 ? words.witnessUpToDate : count(witness.behind, language)}
            </td>
            <td data-label={words.witnessWhen}>
              {typeof witness.cosigned_at === "string"
                ? ago(now() - instantOf(witness.cosigned_at).ms, language)
                : words.neverSeen}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function HowTo(): JSX.Element {
  const { words } = useSpeech();
  const { centre } = useCentre();
  return (
    <Notice kind="empty">
      <p>{words.witnessRun}</p>
      <Copyable text={runWitness(centre.log.key)} />
      <p>{words.witnessThen}</p>
      <Copyable text={WITNESS_CONFIGURATION} />
    </Notice>
  );
}
