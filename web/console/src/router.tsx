// The address bar is the state: a page reads what it shows from here and changes it by going somewhere.
import { type ComponentChildren, createContext, type JSX, type TargetedMouseEvent } from "preact";
import { useCallback, useContext, useEffect, useMemo, useState } from "preact/hooks";

export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

export interface Router extends Place {
  /** An address with these query values set (`null` takes one out); the chosen language always comes along. */
  readonly address: (path: string, query?: Readonly<Record<string, string | null>>) => string;
  readonly go: (address: string) => void;
}

export type Route =
  | { readonly page: "overview" }
  | { readonly page: "customer"; readonly customer: string }
  | { readonly page: "party"; readonly customer: string; readonly view: PartyView }
  | { readonly page: "share"; readonly token: string }
  | { readonly page: "login"; readonly request: string }
  | { readonly page: "passkeys" }
  | { readonly page: "own" }
  | { readonly page: "log" }
  | { readonly page: "entries" }
  | { readonly page: "entry"; readonly entry: string }
  | { readonly page: "accounts"; readonly part: Part | undefined; readonly one: string | undefined }
  | { readonly page: "keys"; readonly part: KeysPart; readonly one: string | undefined }
  | { readonly page: "incidents" }
  | { readonly page: "messages" }
  | { readonly page: "centre" }
  | { readonly page: "operations" }
  | { readonly page: "servers" }
  | { readonly page: "missing" };

/** The parts of the accounts, in the order in which they stand beside one another. */
export const PARTS = ["customers", "people", "staff", "machines", "codes", "tokens"] as const;
export type Part = (typeof PARTS)[number];
/** The parts in which one account has a page of its own. */
const WITH_PAGES: readonly Part[] = ["customers", "people"];

/** The pages about one-time keys; the first is where one begins. */
export const KEYS_PARTS = ["tokens", "tries", "policy", "import"] as const;
export type KeysPart = (typeof KEYS_PARTS)[number];

/** The pages about one customer's period. */
export const PARTY_VIEWS = ["periods", "trend", "chain", "sharing"] as const;
export type PartyView = (typeof PARTY_VIEWS)[number];

export function routeOf(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "").map(decoded);
  const [first, second, third] = parts;
  const missing: Route = { page: "missing" };
  // What cannot be decoded was never an address of ours.
  if (parts.length > 3 || parts.includes(undefined)) return missing;
  switch (first) {
    case undefined:
      return { page: "overview" };
    case "customers":
      return second === undefined ? missing : ofCustomer(second, third);
    case "share":
      return second !== undefined && third === undefined ? { page: "share", token: second } : missing;
    case "login":
      return second !== undefined && third === undefined ? { page: "login", request: second } : missing;
    case "passkeys":
      return second === undefined ? { page: "passkeys" } : missing;
    case "account":
      return second === undefined ? { page: "own" } : missing;
    case "log":
      if (second === undefined) return { page: "log" };
      if (second !== "entries") return missing;
      return third === undefined ? { page: "entries" } : { page: "entry", entry: third };
    case "accounts": {
      const part = PARTS.find((each) => each === second);
      if (second !== undefined && part === undefined) return missing;
      if (third !== undefined && (part === undefined || !WITH_PAGES.includes(part))) return missing;
      return { page: "accounts", part, one: third };
    }
    case "keys": {
      const part = second === undefined ? "tokens" : KEYS_PARTS.find((each) => each === second);
      if (part === undefined || (third !== undefined && part !== "tokens")) return missing;
      return { page: "keys", part, one: third };
    }
    case "incidents":
      return second === undefined ? { page: "incidents" } : missing;
    case "messages":
      return second === undefined ? { page: "messages" } : missing;
    case "centre":
      if (second === "operations" && third === undefined) return { page: "operations" };
      return second === undefined ? { page: "centre" } : missing;
    case "servers":
      return second === undefined ? { page: "servers" } : missing;
    default:
      return missing;
  }
}

function ofCustomer(customer: string, view: string | undefined): Route {
  if (view === undefined) return { page: "customer", customer };
  const found = PARTY_VIEWS.find((each) => each === view);
  return found === undefined ? { page: "missing" } : { page: "party", customer, view: found };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

export function customerPath(customer: string): string {
  return `/customers/${encodeURIComponent(customer)}`;
}

export function partyPath(customer: string, view: PartyView): string {
  return `${customerPath(customer)}/${view}`;
}

export function entryPath(entry: string | number): string {
  return `/log/entries/${encodeURIComponent(entry)}`;
}

export function accountsPath(part: Part, one?: string): string {
  return one === undefined ? `/accounts/${part}` : `/accounts/${part}/${encodeURIComponent(one)}`;
}

export function keysPath(part: KeysPart, one?: string): string {
  return one === undefined ? `/keys/${part}` : `/keys/${part}/${encodeURIComponent(one)}`;
}

const RouterContext = createContext<Router | undefined>(undefined);

export function useRouter(): Router {
  const router = useContext(RouterContext);
  if (router === undefined) throw new Error("broken invariant: a page outside the router");
  return router;
}

export function RouterProvider(props: { children: ComponentChildren }): JSX.Element {
  const [href, setHref] = useState(window.location.href);
  useEffect(() => {
    const moved = (): void => setHref(window.location.href);
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, []);

  const go = useCallback((address: string) => {
    const before = window.location.pathname;
    window.history.pushState(null, "", address);
    setHref(window.location.href);
    if (window.location.pathname !== before) window.scrollTo(0, 0);
  }, []);

  const router = useMemo<Router>(() => {
    const url = new URL(href);
    const query = url.searchParams;
    const address: Router["address"] = (path, wanted = {}) => {
      const next = new URLSearchParams();
      const language = query.get("lang");
      if (language !== null) next.set("lang", language);
      for (const [name, value] of Object.entries(wanted)) {
        if (value === null) next.delete(name);
        else next.set(name, value);
      }
      // Colons are legal in a query and make instants readable.
      const text = next.toString().replaceAll("%3A", ":");
      return text === "" ? path : `${path}?${text}`;
    };
    return { path: url.pathname, query, address, go };
  }, [href, go]);

  return <RouterContext.Provider value={router}>{props.children}</RouterContext.Provider>;
}

/** A real link, followed without loading the console again; modified clicks stay the browser's. */
export function Link(props: JSX.IntrinsicElements["a"] & { readonly href: string }): JSX.Element {
  const { go } = useRouter();
  const follow = (event: TargetedMouseEvent<HTMLAnchorElement>): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(props.href);
  };
  return <a {...props} onClick={follow} />;
}
