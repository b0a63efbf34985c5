import type { JSX } from "preact";
import { answer, api } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { count } from "../../format";
import { GrowthFigure } from "../../graph/growth";
import { growths, lastBefore } from "../../graph/steps";
import { useNews } from "../../live";
import { Loaded } from "../../parts/loaded";
import { PeriodChooser } from "../../parts/period-chooser";
import { bounds, chosenPeriod, short } from "../../period";
import { useResource } from "../../resource";
import { useRouter } from "../../router";
import { useSpeech } from "../../words";

const POINTS = 400;

/** How has the log grown? */
export function GrowthSection(): JSX.Element {
  const { words, language } = useSpeech();
  const { centre, now } = useCentre();
  const { query } = useRouter();
  const chosen = chosenPeriod(query, "24h");
  const key = chosen.kind === "last" ? chosen.length : `${chosen.fromMs} ${chosen.toMs}`;
  const growth = useResource(
    key,
    async () => {
      const [fromMs, toMs] = bounds(chosen, now());
      const wanted = { from: short(fromMs), to: short(toMs), points: POINTS };
      const { points } = await answer(api.GET("/api/v1/evidence/growth", { params: { query: wanted } }));
      // What stood before the period stands at its start too.
      const within = growths(points).map((point) => ({ ...point, at_ms: Math.max(fromMs, point.at_ms) }));
      // The points stand some way apart; what the log holds now is known better than by the last of them.
      const last = within[within.length - 1];
      if (chosen.kind === "last" && centre.log.size > (last?.size ?? 0)) within.push({ at_ms: toMs, size: centre.log.size });
      return { points: within, fromMs, toMs };
    },
    true,
  );
  useNews((news) => {
    if (news.kind === "tick" && chosen.kind === "last") growth.reload();
  });
  return (
    <section>
      <h2>{words.growth}</h2>
      <PeriodChooser chosen={chosen} path="/log" />
      <Loaded of={growth}>
        {({ points, fromMs, toMs }) => {
          const [first] = points;
          const last = lastBefore(points, toMs);
          return (
            <>
              <p class="sentence">
                {first === undefined || last === undefined || last.size === first.size
                  ? words.growthNone
                  : words.growthBy({ count: count(last.size - first.size, language), size: count(last.size, language) })}
              </p>
              {first !== undefined && <GrowthFigure points={points} fromMs={fromMs} toMs={toMs} busy={growth.busy} />}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}
