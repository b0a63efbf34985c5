// What stands around every page: the mark, the pages, the language, the connection.
import type { ComponentChildren, JSX, TargetedMouseEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Session } from "@angbu/shared/client";
import { clock } from "./format";
import { useConnection } from "./live";
import { Gnomon } from "./parts/mark";
import { Trouble } from "./parts/trouble";
import { Link, type Route, useRouter } from "./router";
import { allows, partsFor } from "./session";
import { LANGUAGES, type Language, useSpeech } from "./words";

interface Props {
  readonly session?: Session;
  readonly page?: Route["page"];
  readonly signOut?: () => void;
  readonly children: ComponentChildren;
}

export function Frame({ session, page, signOut, children }: Props): JSX.Element {
  const { words } = useSpeech();
  const { address, path } = useRouter();
  const main = useRef<HTMLElement>(null);
  const seen = useRef(path);
  useEffect(() => {
    // A new page begins at its start for a listener too; the first one is where the browser already is.
    if (seen.current === path) return;
    seen.current = path;
    main.current?.focus({ preventScroll: true });
  }, [path]);

  const scopes = session?.scopes ?? [];
  const pages = [
    ["/", words.time, ["overview", "customer", "party", "servers"].includes(page ?? ""), allows(scopes, "time.read")],
    ["/keys", words.oneTimeKeys, page === "keys", allows(scopes, "keys.read")],
    ["/incidents", words.incidents, page === "incidents" || page === "messages", allows(scopes, "time.read")],
    ["/log", words.log, page === "log" || page === "entries" || page === "entry", true],
    ["/accounts", words.accounts, page === "accounts", partsFor(scopes).length > 0],
    ["/centre", words.centre, page === "centre" || page === "operations", true],
  ] as const;
  return (
    <>
      <a class="skip" href="#content" onClick={(event) => skip(event, main.current)}>
        {words.skip}
      </a>
      <header class="frame">
        <Link class="home" href={address("/")}>
          <Gnomon size={26} />
          <span>Angbu</span>
        </Link>
        {session !== undefined && (
          <nav class="pages" aria-label={words.navigation}>
            {pages.map(
              ([to, name, here, shown]) =>
                shown && (
                  <Link key={to} href={address(to)} aria-current={here ? "page" : undefined}>
                    {name}
                  </Link>
                ),
            )}
          </nav>
        )}
        <div class="frame-end">
          {session !== undefined && <ConnectionState />}
          <Languages />
          {session !== undefined && signOut !== undefined && (
            <Link class="own" href={address("/account")} aria-current={page === "own" ? "page" : undefined} aria-label={`${words.ownAccount}: ${session.staff.name}`}>
              {session.staff.name}
            </Link>
          )}
          {session !== undefined && signOut !== undefined && (
            <button type="button" class="quiet" onClick={signOut} title={words.signedInAs({ name: session.staff.name })}>
              {words.signOut}
            </button>
          )}
        </div>
      </header>
      {session !== undefined && <Lost />}
      {session !== undefined && <Trouble />}
      <main id="content" ref={main} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

function skip(event: TargetedMouseEvent<HTMLAnchorElement>, main: HTMLElement | null): void {
  // The address bar is the pages' own, so a fragment must not come into it.
  event.preventDefault();
  main?.focus();
}

const SHORT: Readonly<Record<Language, string>> = { en: "EN", ko: "한", ja: "日" };

function Languages(): JSX.Element {
  const { words, language } = useSpeech();
  const { path, query, address } = useRouter();
  const others = Object.fromEntries([...query.entries()].filter(([name]) => name !== "lang"));
  return (
    <nav class="languages" aria-label={words.languages}>
      {(Object.keys(LANGUAGES) as Language[]).map((each) => (
        <Link
          key={each}
          href={address(path, { ...others, lang: each })}
          lang={each}
          hreflang={each}
          aria-label={LANGUAGES[each].language}
          aria-current={each === language ? "true" : undefined}
        >
          {SHORT[each]}
        </Link>
      ))}
    </nav>
  );
}

function ConnectionState(): JSX.Element {
  const { words } = useSpeech();
  const { state } = useConnection();
  const long = { live: words.liveLong, connecting: words.connecting, polling: words.pollingLong, lost: words.lost }[state];
  return (
    <span class={`connection is-${state}`} role="status" title={long}>
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
        {state === "lost" ? <path d="M1.5 1.5l7 7M8.5 1.5l-7 7" /> : <circle cx="5" cy="5" r="3.5" />}
      </svg>
      <span>{words[state]}</span>
    </span>
  );
}

function Lost(): JSX.Element | null {
  const { words } = useSpeech();
  const connection = useConnection();
  if (connection.state !== "lost") return null;
  return (
    <div class="lost" role="alert">
      {words.lostLong({ clock: clock({ ms: connection.sinceMs, ns: 0 }, "reader", 0) })}
    </div>
  );
}
