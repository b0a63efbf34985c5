import type { JSX, TargetedSubmitEvent } from "preact";
import { useId } from "preact/hooks";
import { type Agent, type Agents, answer, api, type Verdict } from "@angbu/shared/client";
import { count } from "../../format";
import { useNews } from "../../live";
import { AgentDelay, AgentOffset, AgentSeen, AgentVerdict } from "../../parts/agent-table";
import { Loaded } from "../../parts/loaded";
import { Paging } from "../../parts/paging";
import { useTitle } from "../../parts/title";
import { useResource } from "../../resource";
import { customerPath, Link, useRouter } from "../../router";
import { VERDICTS } from "../../verdict";
import { useSpeech } from "../../words";

const PATH = "/servers";
const ROWS = 50;

/** Which of all servers troubles most? */
export function ServersPage(): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address, go } = useRouter();
  const verdict = VERDICTS.find((each) => each === query.get("verdict"));
  const name = query.get("name") ?? "";
  const offset = /^\d{1,9}$/.test(query.get("offset") ?? "") ? Number(query.get("offset")) : 0;
  const wanted = { verdict, offset, limit: ROWS, order: "trouble" as const, ...(name === "" ? {} : { name }) };
  const list = useResource(`${verdict} ${name} ${offset}`, () => answer(api.GET("/api/v1/time/agents", { params: { query: wanted } })), true);
  useNews((news) => news.kind === "tick" && list.reload());
  useTitle(words.allServers);
  const kept = { ...(verdict === undefined ? {} : { verdict }), ...(name === "" ? {} : { name }) };
  return (
    <>
      <p class="kicker">
        <Link href={address("/")}>{words.overview}</Link>
      </p>
      <Loaded of={list}>
        {(page) => (
          <>
            <h1>{firstSentence(words, page, language)}</h1>
            <Finder name={name} find={(text) => go(address(PATH, { ...(verdict === undefined ? {} : { verdict }), ...(text === "" ? {} : { name: text }) }))} />
            <nav class="choice" aria-label={words.verdict}>
              <Link href={address(PATH, name === "" ? {} : { name })} aria-current={verdict === undefined ? "true" : undefined}>
                {words.anyVerdict}
              </Link>
              {(["outside", "not-proven", "within"] as const).map((each) => (
                <Link
                  key={each}
                  href={address(PATH, { ...(name === "" ? {} : { name }), verdict: each })}
                  aria-current={verdict === each ? "true" : undefined}
                >
                  {words.ofVerdict({ verdict: words[each], count: count(countOf(page, each), language) })}
                </Link>
              ))}
            </nav>
            {page.agents.length === 0 ? (
              <p>{words.serversNoMatch}</p>
            ) : (
              <>
                <Table agents={page.agents} />
                <p class="soft">
                  {words.serversShown({
                    from: count(offset + 1, language),
                    to: count(offset + page.agents.length, language),
                    count: count(page.total, language),
                  })}
                </p>
              </>
            )}
            <Paging path={PATH} query={kept} by="offset" next={page.next?.toString()} onward={words.nextPage} start={words.firstPage} />
          </>
        )}
      </Loaded>
    </>
  );
}

function countOf(page: Agents, verdict: Verdict): number {
  return { within: page.within, outside: page.outside, "not-proven": page.not_proven }[verdict];
}

function firstSentence(words: ReturnType<typeof useSpeech>["words"], page: Agents, language: string): string {
  const all = page.within + page.outside + page.not_proven;
  if (all === 0) return words.serversNoMatch;
  const text = { count: count(all, language) };
  if (page.within === all) return words.serversFine(text);
  return words.serversTrouble({ ...text, outside: count(page.outside, language), notProven: count(page.not_proven, language) });
}

function Finder(props: { readonly name: string; readonly find: (text: string) => void }): JSX.Element {
  const { words } = useSpeech();
  const id = useId();
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    props.find(String(new FormData(event.currentTarget).get("name") ?? "").trim());
  };
  return (
    <form class="finder" role="search" onSubmit={submit}>
      <label for={id}>{words.serversFind}</label>
      <input id={id} type="search" name="name" defaultValue={props.name} autocomplete="off" spellcheck={false} />
      <button type="submit">{words.find}</button>
    </form>
  );
}

function Table({ agents }: { readonly agents: readonly Agent[] }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  return (
    <table class="agents">
      <thead>
        <tr>
          <th scope="col">{words.server}</th>
          <th scope="col">{words.customer}</th>
          <th scope="col">{words.verdict}</th>
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
        {agents.map((agent) => (
          <tr key={agent.id}>
            <th scope="row">
              <Link href={address(customerPath(agent.customer), { agent: agent.name })}>{agent.name}</Link>
            </th>
            <td data-label={words.customer}>{agent.customer}</td>
            <AgentVerdict agent={agent} tolerance={agent.tolerance_ns} />
            <AgentOffset agent={agent} />
            <AgentDelay agent={agent} />
            <AgentSeen agent={agent} />
          </tr>
        ))}
      </tbody>
    </table>
  );
}
