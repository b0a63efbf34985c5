import type { JSX } from "preact";
import { answer, api } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { ago, count } from "../../format";
import { useNews } from "../../live";
import { Loaded } from "../../parts/loaded";
import { instantOf } from "../../parts/when";
import { useResource } from "../../resource";
import { Link, useRouter } from "../../router";
import { useSession } from "../../session";
import { coded, useSpeech } from "../../words";

/** What are the entries about? */
export function KindsSection(): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const { now } = useCentre();
  const own = useSession().staff.customer?.name;
  const kinds = useResource("kinds", async () => {
    const found = await answer(api.GET("/api/v1/evidence/kinds", { params: { query: { customer: own } } }));
    return [...found.kinds].sort((a, b) => b.count - a.count);
  });
  useNews((news) => news.kind === "tick" && kinds.reload());
  return (
    <section>
      <h2>{words.kinds}</h2>
      <Loaded of={kinds}>
        {(rows) => (
          <table class="links">
            <thead>
              <tr>
                <th scope="col">{words.kind}</th>
                <th scope="col" class="figure">
                  {words.logSize}
                </th>
                <th scope="col">{words.kindNewest}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.kind}>
                  <th scope="row">
                    <Link href={address("/log/entries", { kind: row.kind })}>{coded(words, "kind", row.kind)}</Link>
                    <small>
                      <code>{row.kind}</code>
                    </small>
                  </th>
                  <td class="figure" data-label={words.logSize}>
                    {count(row.count, language)}
                  </td>
                  <td data-label={words.kindNewest}>
                    {ago(now() - instantOf(row.newest_at).ms, language)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Loaded>
    </section>
  );
}
