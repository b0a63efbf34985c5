// An instant for the reader: in the reader's zone, with UTC beside it.
import type { JSX } from "preact";
import { dateAndClock, type Instant, parseInstant, zoneName } from "../format";

interface Props {
  readonly at: string | number | Instant;
  /** Digits after the second. */
  readonly digits: number;
}

export function instantOf(at: Props["at"]): Instant {
  if (typeof at === "string") return parseInstant(at);
  return typeof at === "number" ? { ms: at, ns: 0 } : at;
}

export function When(props: Props): JSX.Element {
  const at = instantOf(props.at);
  const zone = zoneName(at.ms);
  return (
    <time class="when" dateTime={new Date(at.ms).toISOString()}>
      <span class="when-reader">
        {dateAndClock(at, "reader", props.digits)} <small>{zone}</small>
      </span>
      {zone !== "UTC" && (
        <span class="when-utc">
          {dateAndClock(at, "utc", props.digits)} <small>UTC</small>
        </span>
      )}
    </time>
  );
}
