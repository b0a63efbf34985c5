// Who is signed in, and what that account may do: what it may not do is not shown.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Role, Session } from "@angbu/shared/client";
import { type Part, PARTS } from "./router";

/** The scopes that the console asks for; the centre asks again at every call. */
export type Scope =
  | "operator"
  | "customers.read"
  | "customers.change"
  | "staff.manage"
  | "tokens.manage"
  | "people.read"
  | "people.manage"
  | "enrolments.make"
  | "time.read"
  | "time.report"
  | "evidence.read"
  | "evidence.erase";

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error("broken invariant: a page before anybody signed in");
  return session;
}

export function useMay(): (scope: Scope) => boolean {
  const session = useSession();
  return (scope) => allows(session.scopes, scope);
}

/** An operator is allowed everything. */
export function allows(scopes: readonly string[], scope: Scope): boolean {
  return scopes.includes(scope) || scopes.includes("operator");
}

/** Whoever has no customer of their own works on the whole site. */
export function wholeSite(session: Session): boolean {
  return session.staff.customer == null;
}

const NEEDED: Readonly<Record<Part, Scope>> = {
  customers: "customers.read",
  people: "people.read",
  staff: "staff.manage",
  machines: "customers.read",
  codes: "enrolments.make",
  tokens: "tokens.manage",
};

/** The parts of the accounts that this session may open. */
export function partsFor(scopes: readonly string[]): readonly Part[] {
  return PARTS.filter((part) => allows(scopes, NEEDED[part]));
}

const ROLES: readonly Role[] = ["operator", "customer-admin", "registrar", "auditor"];

/** The roles that this session may give: nobody makes an operator who is not one. */
export function rolesToGive(scopes: readonly string[]): readonly Role[] {
  return ROLES.filter((role) => role !== "operator" || scopes.includes("operator"));
}
