// The centre as every page knows it: its clock's verdict, and its time by a line of our own.
import { type ComponentChildren, createContext, type JSX } from "preact";
import { useCallback, useContext, useMemo, useState } from "preact/hooks";
import { answer, api, type Centre, type CentreClock, Refused, streamAddress } from "@angbu/shared/client";
import { parseInstant } from "./format";
import { LiveProvider, useNews } from "./live";

/** The centre's time at the middle of one call, on the line of `performance.now()`. */
export interface Fix {
  readonly centreMs: number;
  readonly lineMs: number;
  /** Half of what the call took: how far the centre's reading may be from that middle. */
  readonly uncertaintyMs: number;
}

interface Known {
  readonly centre: Centre;
  readonly fix: Fix;
}

interface Shared extends Known {
  readonly now: () => number;
}

const CentreContext = createContext<Shared | undefined>(undefined);

export function useCentre(): Shared {
  const shared = useContext(CentreContext);
  if (shared === undefined) throw new Error("broken invariant: a page before the centre is known");
  return shared;
}

/** How far the centre's clock may be off; without a proof, or a declaration, nothing bounds it. */
export function clockBoundNs(clock: CentreClock): number {
  return clock.verdict === "unproven" ? Number.POSITIVE_INFINITY : clock.error_bound_ns;
}

export async function askCentre(): Promise<Known> {
  const before = performance.now();
  const centre = await answer(api.GET("/api/v1/centre"));
  const after = performance.now();
  const at = parseInstant(centre.now);
  return {
    centre,
    fix: { centreMs: at.ms + at.ns / 1e6, lineMs: (before + after) / 2, uncertaintyMs: (after - before) / 2 },
  };
}

export function CentreProvider(props: {
  readonly first: Known;
  readonly customer: string | undefined;
  /** Whether this account hears the event stream; the others ask now and then. */
  readonly streams: boolean;
  readonly signedOut: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { signedOut } = props;
  const [known, setKnown] = useState(props.first);
  const look = useCallback(async () => {
    try {
      setKnown(await askCentre());
    } catch (error) {
      if (error instanceof Refused && error.problem.status === 401) signedOut();
      throw error;
    }
  }, [signedOut]);
  return (
    <LiveProvider stream={props.streams ? streamAddress(props.customer) : undefined} look={look}>
      <Provide known={known} change={setKnown}>
        {props.children}
      </Provide>
    </LiveProvider>
  );
}

function Provide(props: {
  readonly known: Known;
  readonly change: (with_: (known: Known) => Known) => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { known, change } = props;
  useNews((news) => {
    if (news.kind === "centre") change(({ centre, fix }) => ({ centre: { ...centre, clock: news.clock }, fix }));
    if (news.kind === "head") {
      change(({ centre, fix }) => ({ centre: { ...centre, log: { ...centre.log, ...news.head } }, fix }));
    }
  });
  const shared = useMemo<Shared>(
    // The reader's own clock may be wrong, so "now" is the centre's, carried on by a clock that nobody sets.
    () => ({ ...known, now: () => known.fix.centreMs + (performance.now() - known.fix.lineMs) }),
    [known],
  );
  return <CentreContext.Provider value={shared}>{props.children}</CentreContext.Provider>;
}
