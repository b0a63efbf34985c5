// Who is signed in, and what that account may do: what it may not do is not shown.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { EnrolmentKind, Role, Session } from "@angbu/shared/client";
import { type Part, PARTS } from "./router";

/** What an account or a token may be allowed; the centre asks again at every call. */
export const SCOPES = [
  "operator",
  "site.read",
  "customers.read",
  "customers.change",
  "staff.manage",
  "tokens.manage",
  "people.read",
  "people.manage",
  "machines.manage",
  "enrolments.make",
  "time.read",
  "time.report",
  "evidence.read",
  "evidence.append",
  "evidence.erase",
  "keys.verify",
  "keys.read",
  "keys.manage",
  "keys.generate",
] as const;
export type Scope = (typeof SCOPES)[number];

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
  machines: "machines.manage",
  codes: "enrolments.make",
  tokens: "tokens.manage",
};

/** The parts of the accounts that this session may open. */
export function partsFor(scopes: readonly string[]): readonly Part[] {
  return PARTS.filter((part) => allows(scopes, NEEDED[part]));
}

/** The scopes that this session may give: nobody gives what they do not have. */
export function scopesToGive(scopes: readonly string[]): readonly string[] {
  return scopes.includes("operator") ? SCOPES : SCOPES.filter((scope) => scopes.includes(scope));
}

/** What this session may let in by a code. */
export function kindsToEnrol(scopes: readonly string[]): readonly EnrolmentKind[] {
  const machines = allows(scopes, "machines.manage") ? (["agent", "host", "relying-party"] as const) : [];
  return allows(scopes, "people.manage") ? [...machines, "person"] : machines;
}

const ROLES: readonly Role[] = ["operator", "customer-admin", "registrar", "auditor"];

/** The roles that this session may give: nobody makes an operator who is not one. */
export function rolesToGive(scopes: readonly string[]): readonly Role[] {
  return ROLES.filter((role) => role !== "operator" || scopes.includes("operator"));
}
