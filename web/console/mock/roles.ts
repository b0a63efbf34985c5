// Who can sign in to the made-up site, and with which scopes.
import type { Role, Session } from "@angbu/shared/client";

const CUSTOMER = ["customers.read", "customers.change", "staff.manage", "tokens.manage", "people.read", "people.manage", "machines.manage", "enrolments.make"];
const TIME = ["time.read", "time.report", "evidence.read"];
const KEYS = ["keys.verify", "keys.read", "keys.manage"];
const SCOPES: Readonly<Record<Role, readonly string[]>> = {
  operator: ["operator", "site.read", ...CUSTOMER, ...TIME, "evidence.append", "evidence.erase", ...KEYS, "keys.generate"],
  "customer-admin": [...CUSTOMER, ...TIME, "evidence.append", "evidence.erase", ...KEYS],
  registrar: ["customers.read", "people.read", "people.manage", "enrolments.make", "keys.read", "keys.manage"],
  auditor: ["customers.read", ...TIME, "keys.read"],
};

/** Names and roles; all have the same password. */
const STAFF: Readonly<Record<string, { readonly role: Role; readonly customer?: string }>> = {
  operator: { role: "operator" },
  admin: { role: "customer-admin", customer: "hanbit" },
  registrar: { role: "registrar", customer: "hanbit" },
  auditor: { role: "auditor" },
};

/** Who was added since the start, with the one-time password that the made-up site always gives. */
const added = new Map<string, { readonly role: Role; readonly customer?: string }>();
export const GIVEN = "quartz-violin-march-tide-umber";

export function addStaff(name: string, role: Role, customer: string | undefined): void {
  added.set(name, { role, ...(customer === undefined ? {} : { customer }) });
}

export function session(name: string, must_change_password: boolean): Session | undefined {
  const found = STAFF[name] ?? added.get(name);
  if (found === undefined) return undefined;
  const customer = found.customer === undefined ? undefined : { id: `cus_${found.customer}`, name: found.customer };
  const staff = { id: `sta_${name}`, name, role: found.role, customer, language: "en" };
  return { staff, must_change_password, scopes: [...SCOPES[found.role]] };
}

export function staffNames(): readonly string[] {
  return Object.keys(STAFF);
}
