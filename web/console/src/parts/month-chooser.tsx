// Which month a page shows, or which other days: months and days begin where the customer is.
import type { JSX, TargetedSubmitEvent } from "preact";
import { useId, useState } from "preact/hooks";
import type { AskedPeriod } from "@angbu/shared/client";
import { type Asked, monthFrom, monthName } from "../month";
import { useRouter } from "../router";
import { useSpeech } from "../words";

/** Months that are offered: two years. */
const OFFERED = 24;

export function MonthChooser(props: {
  readonly asked: Asked;
  readonly shown: AskedPeriod | undefined;
  readonly nowMs: number;
  readonly path: string;
}): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address, go } = useRouter();
  const [open, setOpen] = useState(props.asked.kind === "days");
  const id = useId();
  const others = Object.fromEntries([...query.entries()].filter(([name]) => !["lang", "month", "from", "to"].includes(name)));
  const newest = new Date(props.nowMs).toISOString().slice(0, 7);
  const shown = props.shown?.month ?? (props.asked.kind === "month" ? props.asked.month : undefined);
  // The present month of the customer can be ahead of the one in UTC, or behind it.
  const first = shown !== undefined && shown > newest ? shown : newest;
  const offered = Array.from({ length: OFFERED }, (_, index) => monthFrom(first, -index));
  if (shown !== undefined && !offered.includes(shown)) offered.push(shown);
  return (
    <div class="period">
      <div class="chooser month-chooser">
        <label for={id}>{words.month}</label>
        <select id={id} onChange={(event) => go(address(props.path, { ...others, month: event.currentTarget.value }))}>
          {shown === undefined && (
            <option value="" selected disabled>
              –
            </option>
          )}
          {offered.map((month) => (
            <option key={month} value={month} selected={month === shown}>
              {monthName(month, language)}
            </option>
          ))}
        </select>
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {words.monthOther}
        </button>
      </div>
      {open && <Days shown={props.shown} path={props.path} others={others} />}
    </div>
  );
}

function Days(props: {
  readonly shown: AskedPeriod | undefined;
  readonly path: string;
  readonly others: Readonly<Record<string, string>>;
}): JSX.Element {
  const { words } = useSpeech();
  const { address, go } = useRouter();
  const [mistake, setMistake] = useState<string>();
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [from, to] = [String(form.get("from")), String(form.get("to"))];
    if (from === "" || to === "") return setMistake(words.periodIncomplete);
    // Dates as they are typed here sort as their instants do.
    if (to <= from) return setMistake(words.periodBackwards);
    setMistake(undefined);
    go(address(props.path, { ...props.others, from, to }));
  };
  return (
    <form class="from-to" onSubmit={submit} noValidate>
      <label>
        {words.dayFrom}
        <input type="date" name="from" defaultValue={props.shown?.from_local.slice(0, 10) ?? ""} />
      </label>
      <label>
        {words.dayTo}
        <input type="date" name="to" defaultValue={props.shown?.to_local.slice(0, 10) ?? ""} />
      </label>
      <button type="submit">{words.show}</button>
      {props.shown !== undefined && <span class="soft">{words.zoneOf({ zone: props.shown.zone })}</span>}
      {mistake !== undefined && (
        <p class="mistake" role="alert">
          {mistake}
        </p>
      )}
    </form>
  );
}
