// The made-up site's one-time keys: they can be unlocked, renewed, revoked and moved in, and are as they were after a restart.
import type { KeyImportReport, KeyImportRow, KeyPolicy, KeyToken, KeyTryRow, Session } from "@angbu/shared/client";
import type { Answer } from "./accounts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const ENTRY = "01KAG0000000000000000KEYS1";

const at = (agoMs: number): string => new Date(Date.now() - agoMs).toISOString();
const ok = (body: unknown): Answer => ({ status: 200, body });
const refused = (status: number, problem: string, title: string): Answer => ({ status, problem, title });

type Body = Record<string, unknown>;

export class Keys {
  readonly #tokens: KeyToken[] = PEOPLE.map(([login_id, state, kind], index) => token(index, login_id, state, kind));
  #policy: KeyPolicy = {
    back_s: 30, ahead_s: 3, long_cycles: false, while_unproven: "refuse", lock_after: 5, lock_first_s: 300, lock_longest_s: 86_400, disable_at: 100, revision: 1,
  };

  answer(call: string, query: URLSearchParams, body: Body, who: Session): Answer | undefined {
    const [verb = "", path = ""] = call.split(" ");
    const [, first, noun, id = "", act] = path.split("/").map(decodeURIComponent);
    if (first !== "keys") return undefined;
    const customer = who.staff.customer?.name ?? query.get("customer") ?? String(body["customer"] ?? "hanbit");
    switch (`${verb} ${noun}${id === "" ? "" : "/id"}${act === undefined ? "" : `/${act}`}`) {
      case "GET tokens":
        return this.#page(customer, query);
      case "GET tokens/id":
        return this.#change(id, {});
      case "POST tokens/id/unlock":
        return this.#change(id, { state: "good", failures: 0, locked_until: null });
      case "POST tokens/id/revoke":
        return this.#change(id, { state: "revoked" });
      case "POST tokens/id/renew":
        return this.#enrolled(id);
      case "POST tokens/id/recovery-codes":
        this.#change(id, { recovery_codes_left: 10 });
        return ok({ codes: Array.from({ length: 10 }, (_, index) => `7${index}K4-TZ9M-2XWD-VH6N`) });
      case "POST enrol":
        return this.#enrol(body as { login_id: string; phone_no: string; cycle_time: number; kind: string });
      case "GET tries":
        return ok({ tries: this.#tries(customer, query.get("token") ?? undefined) });
      case "GET policy":
        return ok(this.#policy);
      case "PUT policy":
        this.#policy = { ...this.#policy, ...body, revision: this.#policy.revision + 1 };
        return ok(this.#policy);
      case "POST import":
        return this.#import(body as { text: string; dry_run: boolean });
      default:
        return undefined;
    }
  }

  #page(customer: string, query: URLSearchParams): Answer {
    if (customer !== "hanbit") return ok({ tokens: [] });
    const asked = query.get("login_id");
    const from = Number(query.get("after") ?? 0);
    const found = this.#tokens.filter((each) => asked === null || each.login_id === asked.toLowerCase());
    return ok({ tokens: found.slice(from, from + 20), next: from + 20 < found.length ? String(from + 20) : null });
  }

  #change(id: string, to: Partial<KeyToken>): Answer {
    const index = this.#tokens.findIndex((each) => each.id === id);
    const before = this.#tokens[index];
    if (before === undefined) return refused(404, "unknown", "Not found");
    this.#tokens[index] = { ...before, ...to };
    return ok(this.#tokens[index]);
  }

  #enrolled(id: string): Answer {
    const found = this.#tokens.find((each) => each.id === id);
    if (found === undefined) return refused(404, "unknown", "Not found");
    const otpauth = `otpauth://totp/hanbit:${encodeURIComponent(found.login_id)}?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA&issuer=hanbit&algorithm=SHA256&digits=6&period=${found.cycle_time}`;
    return { status: 200, body: { token: found, otpauth, evidence: {} } };
  }

  #enrol(wish: { login_id: string; phone_no: string; cycle_time: number; kind: string }): Answer {
    if (!/^\+?\d{9,15}$/.test(wish.phone_no)) return refused(422, "invalid-phone", "Phone refused");
    if (this.#tokens.some((each) => each.login_id === wish.login_id && each.state !== "revoked")) return refused(409, "taken", "Token held already");
    const made = token(this.#tokens.length, wish.login_id, "good", wish.kind);
    this.#tokens.push({ ...made, cycle_time: wish.cycle_time, enrolled_at: at(0), last_used_at: null });
    return this.#enrolled(made.id);
  }

  #tries(customer: string, id: string | undefined): KeyTryRow[] {
    if (customer !== "hanbit") return [];
    return TRIES.map(([login_id, reason, clock_verdict, error_bound_ns], index) => ({
      entry: `01KAG00000000000000000TR${String(index).padStart(2, "0")}`, at: at((index * 37 + 4) * SECOND), login_id, ok: reason === "accepted", reason,
      token: this.#tokens.find((each) => each.login_id === login_id)?.id ?? "", holder_id: "", method: index === 3 ? "recovery-code" : "key", clock_verdict, error_bound_ns, by: index % 3 === 0 ? "intranet-login" : "vpn",
    })).filter((each) => id === undefined || each.token === id);
  }

  #import({ text, dry_run }: { text: string; dry_run: boolean }): Answer {
    if (text.includes("\0")) return refused(422, "invalid-import", "File refused");
    const rows: KeyImportRow[] = ROWS.map((row) => ({ ...row, token: !dry_run && row.outcome === "added" ? this.#tokens[0]?.id ?? null : null }));
    const of = (outcome: KeyImportRow["outcome"]): number => rows.filter((row) => row.outcome === outcome).length;
    const report: KeyImportReport = {
      format: "csv", dry_run, added: of("added"), clashes: of("clash"), refused: of("refused"), rows, entry: dry_run ? null : ENTRY,
    };
    return ok(report);
  }
}

function token(index: number, login_id: string, state: string, kind: string): KeyToken {
  const moved = kind === "counter" || index % 5 === 4;
  return {
    id: `key_${String(index + 1).padStart(32, "0")}`, customer: "hanbit", holder: "person", holder_id: `per_${String(index + 1).padStart(32, "0")}`, login_id, kind, state,
    phone_no: moved ? null : `+8210234567${String(10 + index)}`, cycle_time: kind === "counter" ? null : 30, digits: 6, algorithm: moved ? "SHA1" : "SHA256",
    origin: moved ? "imported" : "enrolled", generation: 1, used_again: index === 0 ? 1 : 0, used_again_at: index === 0 ? at(152 * SECOND) : null, failures: state === "locked" ? 5 : state === "disabled" ? 100 : 0,
    locked_until: state === "locked" ? at(-4 * 60 * SECOND) : null, drift_ms: index === 1 ? -4_000 : 0, recovery_codes_left: index % 3 === 0 ? 10 : 0,
    enrolled_at: at((90 - index) * DAY), last_used_at: index % 6 === 5 ? null : at((index + 1) * HOUR), entry: ENTRY,
  };
}

const PEOPLE: readonly (readonly [string, string, string])[] = [
  ["kim.minjun", "good", "time"],
  ["이서연", "locked", "time"],
  ["tanaka", "good", "counter"],
  ["park.jiho", "disabled", "time"],
  ["choi.yuna", "revoked", "time"],
  ["jung.haneul", "good", "time-event"],
  ...Array.from({ length: 19 }, (_, index): [string, "good", "time"] => [`hanbit-${String(index + 1).padStart(3, "0")}`, "good", "time"]),
];

const TRIES: readonly (readonly [string, string, KeyTryRow["clock_verdict"], number])[] = [
  ["kim.minjun", "accepted", "proven", 1_230_000],
  ["이서연", "wrong", "proven", 1_230_000],
  ["이서연", "wrong", "proven", 1_230_000],
  ["tanaka", "accepted", "proven", 980_000],
  ["kim.minjun", "used", "proven", 980_000],
  ["kim.minjun", "accepted", "declared", 40_000_000],
  ["park.jiho", "wrong", "proven", 1_100_000],
  ["jung.haneul", "accepted", "unproven", 0],
];

const ROWS: readonly KeyImportRow[] = [
  { line: 2, login_id: "han.sora", outcome: "added", kind: "time", cycle_time: 30, digits: 6, algorithm: "SHA1", remarks: [], new_person: true },
  { line: 3, login_id: "oh.jaewon", serial: "OATH0002", outcome: "added", kind: "counter", digits: 8, algorithm: "SHA1", remarks: ["pin", "counter-unknown"], new_person: false },
  { line: 4, login_id: "kim.minjun", outcome: "clash", why: "has-token", kind: "time", cycle_time: 30, digits: 6, algorithm: "SHA1", remarks: [], new_person: false },
  { line: 5, serial: "OATH0004", outcome: "refused", why: "no-holder", kind: "time", cycle_time: 60, digits: 6, algorithm: "SHA1", remarks: [], new_person: false },
  { line: 6, outcome: "refused", why: "secret", remarks: [], new_person: false },
];
