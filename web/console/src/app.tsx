// Who is signed in decides what there is to see; the address bar decides which page of it.
import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { answer, api, Refused, type Session } from "@angbu/shared/client";
import { askCentre, CentreProvider } from "./centre";
import { Frame } from "./frame";
import { AccountsPage } from "./pages/accounts";
import { CentrePage } from "./pages/centre";
import { OperationsPage } from "./pages/operations";
import { ServersPage } from "./pages/operations/servers";
import { CustomerPage } from "./pages/customer";
import { LoginPage } from "./pages/login";
import { IncidentsPage } from "./pages/incidents";
import { KeysPage } from "./pages/keys";
import { LogPage } from "./pages/log";
import { EntriesPage } from "./pages/log/entries";
import { EntryPage } from "./pages/log/entry";
import { MessagesPage } from "./pages/messages";
import { MissingPage, NotAllowedPage } from "./pages/missing";
import { OwnPage } from "./pages/own";
import { PasskeyLinkPage } from "./pages/passkey-link";
import { OverviewPage } from "./pages/overview";
import { PartyPage } from "./pages/parties";
import { SharePage } from "./pages/share";
import { ChangePassword, SignIn } from "./pages/sign-in";
import { Refusal } from "./parts/refusal";
import { routeOf, type Route, useRouter } from "./router";
import { allows, SessionContext, useMay } from "./session";
import { LANGUAGES, languageOf, SpeechContext } from "./words";

type Stage =
  | { readonly name: "asking" }
  | { readonly name: "refused"; readonly refused: Refused }
  | { readonly name: "signed-out"; readonly ended: boolean }
  | { readonly name: "must-change"; readonly session: Session; readonly typed: string | undefined }
  | { readonly name: "signed-in"; readonly session: Session; readonly first: Awaited<ReturnType<typeof askCentre>> };

export function App(): JSX.Element {
  const { path, query } = useRouter();
  const language = languageOf(query, navigator.languages);
  const speech = useMemo(() => ({ language, words: LANGUAGES[language] }), [language]);
  const { words } = speech;
  const [stage, setStage] = useState<Stage>({ name: "asking" });

  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);

  const enter = useCallback(async (session: Session, typed?: string) => {
    if (session.must_change_password) setStage({ name: "must-change", session, typed });
    else setStage({ name: "signed-in", session, first: await askCentre() });
  }, []);

  const begin = useCallback(async () => {
    setStage({ name: "asking" });
    try {
      await enter(await answer(api.GET("/api/v1/session")));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.problem.status === 401) setStage({ name: "signed-out", ended: false });
      else setStage({ name: "refused", refused: error });
    }
  }, [enter]);
  const route = routeOf(path);
  const door = doorOf(route);
  const signsIn = door === undefined;
  // Whoever has a link of these has no account here, and none is asked for.
  useEffect(() => void (signsIn && begin()), [begin, signsIn]);

  const signedOut = useCallback(() => setStage({ name: "signed-out", ended: true }), []);
  const signOut = useCallback(async () => {
    // Whatever the centre answers, this page forgets; a session that is already gone is what was asked for.
    await answer(api.DELETE("/api/v1/session")).catch(() => undefined);
    setStage({ name: "signed-out", ended: false });
  }, []);

  if (door !== undefined) {
    return (
      <SpeechContext.Provider value={speech}>
        <Frame>{door}</Frame>
      </SpeechContext.Provider>
    );
  }
  return (
    <SpeechContext.Provider value={speech}>
      {stage.name === "asking" && <p class="asking">{words.loading}</p>}
      {stage.name === "refused" && (
        <Frame>
          <Refusal refused={stage.refused} again={() => void begin()} />
        </Frame>
      )}
      {stage.name === "signed-out" && <SignIn ended={stage.ended} entered={enter} />}
      {stage.name === "must-change" && (
        <ChangePassword typed={stage.typed} entered={() => enter({ ...stage.session, must_change_password: false })} />
      )}
      {stage.name === "signed-in" && (
        <SessionContext.Provider value={stage.session}>
          <CentreProvider
            first={stage.first}
            customer={route.page === "customer" || route.page === "party" ? route.customer : undefined}
            streams={allows(stage.session.scopes, "time.read")}
            signedOut={signedOut}
          >
            <Frame session={stage.session} page={route.page} signOut={() => void signOut()}>
              <Page route={route} />
            </Frame>
          </CentreProvider>
        </SessionContext.Provider>
      )}
    </SpeechContext.Provider>
  );
}

/** The pages that stand outside: whoever has their address may see them, whether or not somebody is signed in. */
function doorOf(route: Route): JSX.Element | undefined {
  switch (route.page) {
    case "share":
      return <SharePage key={route.token} token={route.token} />;
    case "login":
      return <LoginPage key={route.request} request={route.request} />;
    case "passkeys":
      return <PasskeyLinkPage />;
    default:
      return undefined;
  }
}

function Page({ route }: { readonly route: Route }): JSX.Element {
  const may = useMay();
  switch (route.page) {
    case "overview":
      // Who has no part in the time pages begins at what there is to do.
      return may("time.read") ? <OverviewPage /> : <AccountsPage part={undefined} one={undefined} />;
    case "customer":
      return may("time.read") ? <CustomerPage key={route.customer} customer={route.customer} /> : <NotAllowedPage />;
    case "party":
      return may("time.read") ? <PartyPage key={`${route.customer} ${route.view}`} customer={route.customer} view={route.view} /> : <NotAllowedPage />;
    case "share":
    case "login":
    case "passkeys":
      // They stand outside, for whoever is signed in too.
      return <MissingPage />;
    case "own":
      return <OwnPage />;
    case "log":
      return <LogPage />;
    case "entries":
      return may("evidence.read") ? <EntriesPage /> : <NotAllowedPage />;
    case "entry":
      return may("evidence.read") ? <EntryPage key={route.entry} entry={route.entry} /> : <NotAllowedPage />;
    case "accounts":
      return <AccountsPage part={route.part} one={route.one} />;
    case "keys":
      return <KeysPage part={route.part} one={route.one} />;
    case "incidents":
      return may("time.read") ? <IncidentsPage /> : <NotAllowedPage />;
    case "messages":
      return may("customers.change") ? <MessagesPage /> : <NotAllowedPage />;
    case "centre":
      return <CentrePage />;
    case "operations":
      return may("time.read") ? <OperationsPage /> : <NotAllowedPage />;
    case "servers":
      return may("time.read") ? <ServersPage /> : <NotAllowedPage />;
    case "missing":
      return <MissingPage />;
  }
}
