import type { JSX, TargetedSubmitEvent } from "preact";
import { useState } from "preact/hooks";
import { useCentre } from "../centre";
import { dateAndClock, zoneName } from "../format";
import { bounds, type Chosen, type Length, periodQuery, PERIODS } from "../period";
import { Link, useRouter } from "../router";
import { useSpeech } from "../words";

/** Five lengths up to now as links, and a form for any other period. */
export function PeriodChooser({ chosen, path }: { readonly chosen: Chosen; readonly path: string }): JSX.Element {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const [asking, setAsking] = useState(false);
  const others = Object.fromEntries(
    [...query.entries()].filter(([name]) => !["lang", "period", "from", "to"].includes(name)),
  );
  const open = asking || chosen.kind === "fixed";
  return (
    <div class="period">
      <nav class="choice" aria-label={words.period}>
        <span>{words.period}</span>
        {(Object.keys(PERIODS) as Length[]).map((length) => (
          <Link
            key={length}
            href={address(path, { ...others, ...periodQuery({ kind: "last", length }) })}
            aria-current={chosen.kind === "last" && chosen.length === length ? "true" : undefined}
          >
            {words[`period.${length}`]}
          </Link>
        ))}
        <button
          type="button"
          class={chosen.kind === "fixed" ? "is-current" : ""}
          aria-expanded={open}
          onClick={() => setAsking(!asking)}
        >
          {words["period.custom"]}
        </button>
      </nav>
      {open && <FromTo chosen={chosen} path={path} others={others} done={() => setAsking(false)} />}
    </div>
  );
}

function FromTo(props: {
  readonly chosen: Chosen;
  readonly path: string;
  readonly others: Readonly<Record<string, string>>;
  readonly done: () => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { now } = useCentre();
  const { address, go } = useRouter();
  const [mistake, setMistake] = useState<string>();
  const [from, to] = bounds(props.chosen, now());

  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    // A date and time without a zone is in the reader's own.
    const fromMs = Date.parse(String(form.get("from")));
    const toMs = Date.parse(String(form.get("to")));
    if (Number.isNaN(fromMs) || Number.isNaN(toMs)) return setMistake(words.periodIncomplete);
    if (toMs <= fromMs) return setMistake(words.periodBackwards);
    setMistake(undefined);
    props.done();
    go(address(props.path, { ...props.others, ...periodQuery({ kind: "fixed", fromMs, toMs }) }));
  };

  return (
    <form class="from-to" onSubmit={submit} noValidate>
      <label>
        {words.from}
        <input type="datetime-local" name="from" step="1" defaultValue={local(from)} />
      </label>
      <label>
        {words.to}
        <input type="datetime-local" name="to" step="1" defaultValue={local(to)} />
      </label>
      <button type="submit">{words.show}</button>
      <span class="soft">{words.readerZone({ zone: zoneName(to) })}</span>
      {mistake !== undefined && (
        <p class="mistake" role="alert">
          {mistake}
        </p>
      )}
    </form>
  );
}

function local(ms: number): string {
  return dateAndClock({ ms, ns: 0 }, "reader", 0).replace(" ", "T");
}
