// The made-up site's accounts: they can be changed, and are as they were after a restart.
import type { EnrolmentKind, Machine, OpenCode, Person, Role, Session, StaffMember, Token } from "@angbu/shared/client";
import { addStaff, GIVEN, session, staffNames } from "./roles";

const DAY = 86_400_000;

/** What the made-up centre answers: a status, and a body or a problem. */
export type Answer = { readonly status: number; readonly body?: unknown } | { readonly problem: string; readonly title: string; readonly status: number };

const ok = (body: unknown): Answer => ({ status: 200, body });
const made = (body: unknown): Answer => ({ status: 201, body });
const refused = (status: number, problem: string, title: string): Answer => ({ status, problem, title });
const unknown = refused(404, "unknown", "Not found");
const at = (agoMs: number): string => new Date(Date.now() - agoMs).toISOString();

type Body = Record<string, unknown>;

export class Accounts {
  #next = 100;
  readonly settings = new Map<string, { tolerance_ns: number; contacts: string[]; language: string; zone: string; revision: number }>();
  readonly #staff: StaffMember[] = staffNames().map((name) => {
    const { staff } = session(name, false)!;
    return { id: staff.id, name, role: staff.role, customer: staff.customer?.name, language: "en", disabled: false, must_change: name === "registrar" };
  });
  readonly #tokens: Token[] = [
    { id: "tok_1", holder: "nightly report", customer: "hanbit", scopes: ["time.read", "time.report"], created_at: at(40 * DAY), expires_at: at(-50 * DAY), revoked: false },
    { id: "tok_2", holder: "this machine", scopes: ["operator"], created_at: at(90 * DAY), revoked: false },
    { id: "tok_3", holder: "old ERP", customer: "hanbit", scopes: ["evidence.append"], created_at: at(300 * DAY), expires_at: at(2 * DAY), revoked: false },
  ];
  readonly #people: Person[] = PEOPLE.map(([login_id, phone_no, birthday], index) => ({
    id: `per_${String(index + 1).padStart(32, "0")}`, customer: "hanbit", login_id, phone_no, birthday, language: "ko",
    enrolled_at: at((60 - index) * DAY), disabled: index === 3, erased: false, entry: "01KAG0000000000000000PERSN",
  }));
  readonly #machines: Machine[] = [
    { id: "mac_1", kind: "host", name: "license-host", customer: "hanbit", enrolled_at: at(20 * DAY), disabled: false, origins: [], entry: "01KAG0000000000000000MACHN", public_key: "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
    { id: "mac_2", kind: "relying-party", name: "intranet-login", customer: "hanbit", enrolled_at: at(4 * DAY), disabled: false, origins: [], entry: "01KAG0000000000000000MACHN", public_key: "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
    { id: "mac_3", kind: "relying-party", name: "old-portal", customer: "demo", enrolled_at: at(200 * DAY), disabled: true, origins: [], entry: "01KAG0000000000000000MACHN", public_key: "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
  ];
  #codes: OpenCode[] = [
    { id: "cod_1", kind: "agent", customer: "hanbit", name: "db-4", expires_at: at(-0.9 * DAY), used: false },
    { id: "cod_2", kind: "person", customer: "hanbit", name: "kim.dahye", expires_at: at(-0.4 * DAY), used: false },
  ];

  /** `who` has signed in. Calls that are none of ours are not answered. */
  answer(call: string, query: URLSearchParams, body: Body, who: Session): Answer | undefined {
    const [verb = "", path = ""] = call.split(" ");
    const [, noun, id = "", act] = path.split("/").map(decodeURIComponent);
    const asked = who.staff.customer?.name ?? query.get("customer") ?? undefined;
    const mine = <T extends { readonly customer?: string | null }>(rows: readonly T[]): T[] =>
      rows.filter((row) => asked === undefined || row.customer === asked);
    const key = `${verb} ${noun}${id === "" ? "" : "/id"}${act === undefined ? "" : `/${act}`}`;
    switch (key) {
      case "PATCH customers/id":
        return this.#settle(id, body);
      case "POST customers":
        return refused(409, "taken", "Name already taken");
      case "GET staff":
        return ok({ staff: mine(this.#staff) });
      case "POST staff":
        return this.#addStaff(body);
      case "PATCH staff/id":
        return change(this.#staff, id, body);
      case "POST staff/id/password":
        return change(this.#staff, id, { must_change: true }, { one_time_password: GIVEN });
      case "GET tokens":
        return ok({ tokens: mine(this.#tokens) });
      case "POST tokens":
        this.#tokens.push({ id: this.#id("tok"), created_at: at(0), revoked: false, ...(body as Omit<Token, "id" | "created_at" | "revoked">) });
        return made({ id: "tok_new", token: "angbu_5kR2vNq8TzB1xYw7Lm0sJd4Hc6Fg3Pa9" });
      case "DELETE tokens/id":
        return change(this.#tokens, id, { revoked: true }, undefined);
      case "GET people":
        return this.#page(asked, query);
      case "POST people":
        return this.#addPerson(body);
      case "GET people/id":
        return change(this.#people, id, {});
      case "PATCH people/id":
        return change(this.#people, id, body);
      case "POST people/id/erase":
        return change(this.#people, id, { erased: true, login_id: "", phone_no: "", birthday: "" }, { entry_id: "01KAG000000000000000ERASED" });
      case "GET machines":
        return ok({ machines: mine(this.#machines) });
      case "PATCH machines/id":
        return change(this.#machines, id, body);
      case "GET enrolments":
        return ok({ enrolments: mine(this.#codes) });
      case "POST enrolments":
        return this.#makeCode(body as { kind: EnrolmentKind; customer: string; name: string });
      case "DELETE enrolments/id":
        this.#codes = this.#codes.filter((code) => code.id !== id);
        return { status: 204 };
      default:
        return undefined;
    }
  }

  #id(prefix: string): string {
    this.#next += 1;
    return `${prefix}_${this.#next}`;
  }

  #settle(id: string, body: Body): Answer {
    const name = id.replace(/^cus_/, "");
    const before = this.settings.get(name) ?? { tolerance_ns: 50e6, contacts: [], language: "en", zone: "UTC", revision: 1 };
    this.settings.set(name, { ...before, ...body, revision: before.revision + 1 });
    return { status: 200, body: name };
  }

  #addStaff(body: Body): Answer {
    const { name, role, customer } = body as { name: string; role: Role; customer?: string };
    if (!/^[a-z0-9][a-z0-9.-]*$/i.test(name)) return refused(422, "invalid", "Invalid request");
    if (this.#staff.some((each) => each.name === name)) return refused(409, "taken", "Name already taken");
    const staff: StaffMember = { id: this.#id("sta"), name, role, customer, language: "en", disabled: false, must_change: true };
    this.#staff.push(staff);
    addStaff(name, role, customer);
    return made({ staff, one_time_password: GIVEN });
  }

  #page(customer: string | undefined, query: URLSearchParams): Answer {
    if (customer !== "hanbit") return ok({ people: [] });
    const from = Number(query.get("after") ?? 0);
    const limit = Math.min(20, Number(query.get("limit") ?? 50));
    const people = this.#people.slice(from, from + limit);
    return ok({ people, next: from + limit < this.#people.length ? String(from + limit) : undefined });
  }

  #addPerson(body: Body): Answer {
    const { login_id, password, birthday, phone_no } = body as Record<"login_id" | "password" | "birthday" | "phone_no", string>;
    if (/\s/.test(login_id) || [...login_id].length > 64) return refused(422, "invalid-login-id", "Login id refused");
    if (this.#people.some((each) => each.login_id === login_id)) return refused(409, "taken", "Login id taken");
    if ([...password].length < 12) return refused(422, "invalid-password", "Password refused");
    if (!(Date.parse(birthday) < Date.now())) return refused(422, "invalid-birthday", "Birthday refused");
    if (!/^\+?\d{9,15}$/.test(phone_no)) return refused(422, "invalid-phone", "Phone refused");
    const person: Person = {
      id: `per_${String(this.#people.length + 1).padStart(32, "0")}`, customer: "hanbit", login_id, birthday, phone_no, language: "en",
      enrolled_at: at(0), disabled: false, erased: false, entry: "01KAG0000000000000000PERSN",
    };
    this.#people.push(person);
    return made(person);
  }

  #makeCode({ kind, customer, name }: { kind: EnrolmentKind; customer: string; name: string }): Answer {
    const id = this.#id("cod");
    const expires_at = at(-DAY);
    this.#codes.push({ id, kind, customer, name, expires_at, used: false });
    return made({ id, code: "angbu1-7QK4-TZ9M-2XWD-VH6N-R3PB-8YCJ-5GFL-EASU-1MNB-4KQT", expires_at });
  }
}

/** Changes the row with this id and answers with it, or with `answered` where that is given. */
function change<T extends { readonly id: string }>(rows: T[], id: string, to: Partial<T> | Body, ...answered: [unknown?]): Answer {
  const index = rows.findIndex((row) => row.id === id);
  const before = rows[index];
  if (before === undefined) return unknown;
  rows[index] = { ...before, ...to };
  if (answered.length === 0) return ok(rows[index]);
  return answered[0] === undefined ? { status: 204 } : ok(answered[0]);
}

const PEOPLE: readonly (readonly [string, string, string])[] = [
  ["kim.minjun", "010-2345-6789", "1988-04-17"],
  ["이서연", "010-8765-4321", "1992-11-02"],
  ["tanaka", "+81 90-1234-5678", "1979-07-30"],
  ["park.jiho", "010-5555-0101", "2001-01-09"],
  ...Array.from({ length: 24 }, (_, index): [string, string, string] => [
    `hanbit-${String(index + 1).padStart(3, "0")}`, `010-7000-${String(1000 + index)}`, `19${70 + (index % 30)}-03-${String((index % 27) + 1).padStart(2, "0")}`,
  ]),
];
