// The made-up log: real hashes over made-up entries, so that the pages' own checks have something to check.
import { createHash } from "node:crypto";
import type { EntryField, EntryPage, EntryRow, Head, Key, Witness } from "@angbu/shared/client";
import { begun } from "./site";

const ORIGIN = "angbu.example/mock";
const FIRST = 1_840;
const EVERY_MS = 2_000;
const CLOCK_EVERY = 500;
const KINDS = ["time.segment", "time.segment", "time.segment", "evidence.manifest", "time.segment", "evidence.note", "time.alarm", "account.person", "time.enrolment"];
const OWNERS = ["hanbit", "demo", "hanbit"] as const;

/** A log in trouble, to look at: `ANGBU_MOCK_TROUBLE=1 npm run mock`. */
const TROUBLE =
  process.env.ANGBU_MOCK_TROUBLE === undefined
    ? undefined
    : "evidence.guard says that 2,105 entries were signed, and the database holds fewer: it looks like an older copy.";

const sha = (...parts: readonly (Buffer | string | readonly number[])[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(typeof part === "string" ? part : Buffer.from(part as Buffer));
  return hash.digest();
};

export class Log {
  readonly #leaves: Buffer[] = [];
  readonly #erased = new Map<string, string>();
  #trouble = TROUBLE;

  size(nowMs: number): number {
    return FIRST + Math.floor((nowMs - begun) / EVERY_MS);
  }

  head(nowMs: number): Head {
    const size = this.size(nowMs);
    const root = this.#root(0, size).toString("base64");
    return {
      origin: ORIGIN,
      size,
      root,
      signed_at: new Date(Math.floor(nowMs / EVERY_MS) * EVERY_MS).toISOString().replace("Z", "123456Z"),
      checkpoint: `${ORIGIN}\n${size}\n${root}\n\n— ${ORIGIN} mADeUpSiGnAtUrE0000000000000000000000000000000000000000000000000000000000000000000000000==\n`,
      key: `${ORIGIN}+0f1e2d3c+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh`,
      trouble: this.#trouble,
    };
  }

  confirm(): void {
    this.#trouble = undefined;
  }

  growth(fromMs: number, toMs: number, points: number): { at_ms: number; size: number }[] {
    const now = Date.now();
    const step = (toMs - fromMs) / points;
    const found: { at_ms: number; size: number }[] = [];
    for (let at = fromMs; at < Math.min(toMs, now); at += step) {
      // Longer ago it grew more slowly, and by night hardly at all.
      const ago = Math.max(0, begun - at);
      const night = Math.sin((at / 86_400_000) * 2 * Math.PI) * 40;
      const size = at >= begun ? this.size(at) : Math.max(0, Math.round(FIRST - ago / 600_000 + (ago > 3_600_000 ? night : 0)));
      const last = found[found.length - 1];
      if (last === undefined || size > last.size) found.push({ at_ms: Math.round(at), size });
    }
    return found;
  }

  keys(): Key[] {
    const made = (daysAgo: number): string => new Date(begun - daysAgo * 86_400_000).toISOString();
    const verifier_key = `${ORIGIN}+0f1e2d3c+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh`;
    return [
      ...["bodies", "records", "personal", "index"].map((purpose, at) => ({ id: at + 1, purpose, created_at: made(90) })),
      { id: 5, purpose: "log", created_at: made(90), verifier_key },
      { id: 6, purpose: "promise", created_at: made(90), verifier_key: verifier_key.replace("mock", "mock/promise") },
      { id: 7, purpose: "log", created_at: made(2), verifier_key: verifier_key.replace("0f1e2d3c", "4b5a6978") },
      { id: 8, purpose: "personal", created_at: made(1) },
    ].map((key) => (key.id === 3 ? { ...key, retired_at: made(1), resealed: 1_204 } : key));
  }

  witnesses(nowMs: number): Witness[] {
    const size = this.size(nowMs);
    const seen = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();
    return [
      { name: "witness.hanbit.example", key: "witness.hanbit.example+5e6f7a8b+BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", kind: "configured", size, cosigned_at: seen(3_000), behind: 0 },
      {
        name: "witness.audit.example", key: "witness.audit.example+1a2b3c4d+BCECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", kind: "configured", size: size - 412,
        cosigned_at: seen(900_000), behind: 412, trouble: "it does not answer (connection refused); it is asked again every minute",
      },
      { name: "hanbit-db-1", agent: "db-1", customer: "hanbit", key: "hanbit-db-1+99aabbcc+BDECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", kind: "agent", size: size - 2, cosigned_at: seen(9_000), behind: 2 },
      { name: "hanbit-db-2", agent: "db-2", customer: "hanbit", key: "hanbit-db-2+77aabbcc+BEECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", kind: "agent", size: size - 1, cosigned_at: seen(5_000), behind: 1 },
    ];
  }

  kinds(customer: string | undefined, nowMs: number): { kind: string; count: number; newest_at: string }[] {
    const found = new Map<string, { kind: string; count: number; newest_at: string }>();
    for (let index = 0; index < this.size(nowMs); index += 1) {
      const { kind, at, customer: owner } = this.#row(index);
      if (customer !== undefined && owner !== customer) continue;
      found.set(kind, { kind, count: (found.get(kind)?.count ?? 0) + 1, newest_at: at });
    }
    return [...found.values()];
  }

  entries(query: URLSearchParams, customer: string | undefined, nowMs: number): { entries: EntryRow[]; next?: number } {
    const kind = query.get("kind");
    const limit = Math.min(50, Number(query.get("limit") ?? 50));
    const entries: EntryRow[] = [];
    let index = Math.min(this.size(nowMs), Number(query.get("before") ?? Infinity)) - 1;
    for (; index >= 0 && entries.length < limit; index -= 1) {
      const row = this.#row(index);
      if ((kind === null || row.kind === kind) && (customer === undefined || row.customer === customer)) entries.push(row);
    }
    return { entries, ...(index >= 0 ? { next: index + 1 } : {}) };
  }

  entry(id: string, nowMs: number): EntryPage | undefined {
    const index = Number.parseInt(id.slice(8, 18), 10);
    const size = this.size(nowMs);
    if (!(index < size) || this.#row(index).id !== id) return undefined;
    const { path } = this.#path(index, 0, size);
    const clock_state = Math.floor(index / CLOCK_EVERY) * CLOCK_EVERY;
    return {
      ...this.#row(index),
      clock_state,
      text: this.#text(index),
      fields: FIELDS.map((field) => {
        const erased_by = this.#erased.get(`${id} ${field.name}`);
        return erased_by === undefined ? { ...field, erasable: true } : { name: field.name, erased: true, erased_by };
      }),
      path: path.map((hash) => hash.toString("base64")),
      checkpoint: this.head(nowMs).checkpoint,
    };
  }

  erase(id: string, fields: readonly string[], nowMs: number): string {
    const erasure = this.#row(this.size(nowMs) - 1).id;
    for (const field of fields) this.#erased.set(`${id} ${field}`, erasure);
    return erasure;
  }

  receipt(id: string, nowMs: number): string | undefined {
    const entry = this.entry(id, nowMs);
    if (entry === undefined) return undefined;
    const extra = Buffer.from(entry.text).toString("base64");
    return `c2sp.org/tlog-proof@v1\nextra ${extra}\nindex ${entry.index}\n${entry.path.join("\n")}\n\n${entry.checkpoint}`;
  }

  #row(index: number): EntryRow {
    const state = index % CLOCK_EVERY === 0;
    const customer = state ? "-" : OWNERS[index % OWNERS.length]!;
    return {
      index,
      id: `01KAGVEB${String(index).padStart(10, "0")}J2GB1G6G`,
      kind: state ? "clock.state" : KINDS[index % KINDS.length]!,
      at: new Date(begun - (FIRST - index) * (index < FIRST ? 40_000 : EVERY_MS)).toISOString().replace("Z", "123456Z"),
      error_bound_ns: 1_000_000,
      verdict: "declared",
      customer,
      number: Math.floor(index / OWNERS.length) + 1,
    };
  }

  #text(index: number): string {
    const { id, kind, at, number, customer } = this.#row(index);
    const ns = `${Date.parse(at.replace("123456Z", "Z"))}123456`;
    const body = sha(`body ${index}`).toString("base64");
    const owner = customer === "-" ? "0".repeat(32) : sha(customer).toString("hex").slice(0, 32);
    const clock = Math.floor(index / CLOCK_EVERY) * CLOCK_EVERY;
    return `angbu/1 ${kind}\nid ${id}\ninstant ${ns} 1000000 declared ${clock}\ncustomer cus_${owner} ${number}\nbody ${body}\n`;
  }

  #leaf(index: number): Buffer {
    return (this.#leaves[index] ??= sha([0], this.#text(index)));
  }

  #root(from: number, to: number): Buffer {
    if (to - from === 1) return this.#leaf(from);
    const middle = split(from, to);
    return sha([1], this.#root(from, middle), this.#root(middle, to));
  }

  #path(index: number, from: number, to: number): { path: Buffer[] } {
    if (to - from === 1) return { path: [] };
    const middle = split(from, to);
    if (index < middle) return { path: [...this.#path(index, from, middle).path, this.#root(middle, to)] };
    return { path: [...this.#path(index, middle, to).path, this.#root(from, middle)] };
  }
}

function split(from: number, to: number): number {
  let power = 1;
  while (power * 2 < to - from) power *= 2;
  return from + power;
}

const FIELDS: readonly EntryField[] = [
  { name: "agent", value: "agt_0102030405060708090a0b0c0d0e0f10" },
  { name: "settings", value: "01KAGVEB0000000000J2GB1G6G" },
  { name: "phone", hidden: true },
  { name: "exchanges", bytes: 18_231 },
  { name: "note", value: "an offset of +188.4 ms was seen between two exchanges" },
];
