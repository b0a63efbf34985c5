// What changes at the centre, as it changes: the event stream, and polling where the stream does not come through.
import { type ComponentChildren, createContext, type JSX } from "preact";
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Agent, type CentreClock, type Exchange, type Head, type Mark } from "@angbu/shared/client";

/** `tick` asks every page to look again: at each poll, and now and then beside a living stream. */
export type News =
  | { readonly kind: "agent"; readonly agent: Agent }
  | { readonly kind: "exchange"; readonly exchange: Exchange }
  | { readonly kind: "event"; readonly mark: Mark & { readonly agent: string } }
  | { readonly kind: "head"; readonly head: Partial<Head> }
  | { readonly kind: "centre"; readonly clock: CentreClock }
  | { readonly kind: "tick" };

export type Connection =
  | { readonly state: "connecting" | "live" | "polling" }
  | { readonly state: "lost"; readonly sinceMs: number };

type Listener = (news: News) => void;

interface Live {
  readonly connection: Connection;
  readonly subscribe: (listener: Listener) => () => void;
}

const LiveContext = createContext<Live>({ connection: { state: "connecting" }, subscribe: () => () => undefined });

const POLL_MS = 5_000;
/** Verdicts age into "not proven" without any event, so a living stream is checked against the centre too. */
const LOOK_AGAIN_MS = 15_000;
const RETRY_MS = { first: 1_000, most: 30_000 } as const;

/** `stream` is the address of the events, where this account hears them. `look` asks the centre anything small; its failing is what "connection lost" means. */
export function LiveProvider(props: {
  readonly stream: string | undefined;
  readonly look: () => Promise<void>;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { stream, look } = props;
  const [connection, setConnection] = useState<Connection>({ state: "connecting" });
  const listeners = useRef(new Set<Listener>());
  const subscribe = useCallback((listener: Listener) => {
    listeners.current.add(listener);
    return () => void listeners.current.delete(listener);
  }, []);

  useEffect(() => {
    const tell = (news: News): void => listeners.current.forEach((listener) => listener(news));
    return follow(stream, look, tell, setConnection);
  }, [stream, look]);

  const live = useMemo(() => ({ connection, subscribe }), [connection, subscribe]);
  return <LiveContext.Provider value={live}>{props.children}</LiveContext.Provider>;
}

export function useConnection(): Connection {
  return useContext(LiveContext).connection;
}

/** Calls the listener of the newest render, so that a listener need not be kept stable. */
export function useNews(listener: Listener): void {
  const { subscribe } = useContext(LiveContext);
  const newest = useRef(listener);
  newest.current = listener;
  useEffect(() => subscribe((news) => newest.current(news)), [subscribe]);
}

function follow(
  address: string | undefined,
  look: () => Promise<void>,
  tell: (news: News) => void,
  say: (connection: Connection) => void,
): () => void {
  let source: EventSource | undefined;
  let open = false;
  let ended = false;
  let retryMs: number = RETRY_MS.first;
  let retry: number | undefined;
  let timer: number | undefined;
  let lostSince: number | undefined;

  const hear = <T,>(name: string, news: (data: T) => News): void => {
    source?.addEventListener(name, (event) => tell(news(JSON.parse((event as MessageEvent<string>).data) as T)));
  };

  const connect = (): void => {
    if (address === undefined) return;
    source = new EventSource(address);
    source.onopen = () => {
      open = true;
      retryMs = RETRY_MS.first;
      lostSince = undefined;
      say({ state: "live" });
      tell({ kind: "tick" });
      schedule();
    };
    source.onerror = () => {
      // The browser's own retrying gives up at the first refusal; ours does not.
      source?.close();
      const was = open;
      open = false;
      if (ended) return;
      window.clearTimeout(retry);
      retry = window.setTimeout(connect, retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MS.most);
      if (was) void lookAgain();
    };
    hear<Agent>("agent", (agent) => ({ kind: "agent", agent }));
    hear<Exchange>("exchange", (exchange) => ({ kind: "exchange", exchange }));
    hear<Mark & { agent: string }>("event", (mark) => ({ kind: "event", mark }));
    hear<Partial<Head>>("head", (head) => ({ kind: "head", head }));
    hear<{ clock: CentreClock }>("centre", ({ clock }) => ({ kind: "centre", clock }));
  };

  const lookAgain = async (): Promise<void> => {
    try {
      await look();
      if (ended) return;
      lostSince = undefined;
      say({ state: open ? "live" : "polling" });
      tell({ kind: "tick" });
    } catch {
      if (ended) return;
      lostSince ??= Date.now();
      say({ state: "lost", sinceMs: lostSince });
    }
    schedule();
  };

  const schedule = (): void => {
    window.clearTimeout(timer);
    if (!ended) timer = window.setTimeout(() => void lookAgain(), open && lostSince === undefined ? LOOK_AGAIN_MS : POLL_MS);
  };

  const offline = (): void => void lookAgain();
  window.addEventListener("offline", offline);
  window.addEventListener("online", offline);
  if (address === undefined) say({ state: "polling" });
  else connect();
  schedule();
  return () => {
    ended = true;
    source?.close();
    window.clearTimeout(retry);
    window.clearTimeout(timer);
    window.removeEventListener("offline", offline);
    window.removeEventListener("online", offline);
  };
}
