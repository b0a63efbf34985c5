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
  | { readonly page: "log" }
  | { readonly page: "centre" }
  | { readonly page: "missing" };

export function routeOf(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second] = parts;
  if (first === undefined) return { page: "overview" };
  if (first === "customers" && second !== undefined && parts.length === 2) {
    const customer = decoded(second);
    return customer === undefined ? { page: "missing" } : { page: "customer", customer };
  }
  if (first === "log" && parts.length === 1) return { page: "log" };
  if (first === "centre" && parts.length === 1) return { page: "centre" };
  return { page: "missing" };
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
