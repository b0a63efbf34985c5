// The made-up site's incidents, messages and webhooks.
import type { Delivery, Incident, Webhook } from "@angbu/shared/client";
import type { Answer } from "./accounts";

const MINUTE = 60_000;
const ENTRY = "01KAG0000000000000000INCDT";

const at = (nowMs: number, agoMinutes: number): string => new Date(nowMs - agoMinutes * MINUTE).toISOString();

export function incidents(nowMs: number, customer: string | undefined): Incident[] {
  const of = (id: number, kind: string, server: string | undefined, since: number, until: number | undefined, returns = 0): Incident => ({
    id: `inc_${id}`, customer: server === undefined ? undefined : "hanbit", agent: server === undefined ? undefined : `agt_${server}`, server, kind,
    since: at(nowMs, since), last: at(nowMs, until ?? 1), until: until === undefined ? undefined : at(nowMs, until), returns,
    opened_entry: ENTRY, closed_entry: until === undefined ? undefined : ENTRY,
  });
  const all = [
    of(1, "outside", "db-3", 12, undefined),
    of(2, "silent", "web-2", 47, undefined, 3),
    of(3, "step", "db-1", 300, 240),
    of(4, "centre", undefined, 2_000, 1_980),
    of(5, "moved-while-down", "db-1", 9_000, 8_940),
  ];
  return all.filter((each) => customer === undefined || each.customer === customer || each.customer === undefined);
}

export class Notices {
  #next = 2;
  #webhooks: Webhook[] = [{ id: "whk_1", url: "https://hooks.hanbit.example/angbu", made_at: at(Date.now(), 90_000), old_secret_until: undefined }];
  #deliveries: Delivery[] = [
    { id: "dlv_1", customer: "hanbit", channel: "mail", target: "time@hanbit.example", topic: "incidents", made_at: at(Date.now(), 12), state: "delivered", attempts: 1, ended_at: at(Date.now(), 12) },
    { id: "dlv_2", customer: "hanbit", channel: "mail", target: "night-watch@hanbit.example", topic: "incidents", made_at: at(Date.now(), 12), state: "waiting", attempts: 3, next_try_at: at(Date.now(), -4), why: "transient error (451): greylisted, come again" },
    { id: "dlv_3", customer: undefined, channel: "mail", target: "duty@centre.example", topic: "incidents", made_at: at(Date.now(), 47), state: "given-up", attempts: 1, ended_at: at(Date.now(), 47), why: "permanent error (550): no such mailbox" },
    { id: "dlv_4", customer: "hanbit", channel: "webhook", target: "https://hooks.hanbit.example/angbu", topic: "webhook", made_at: at(Date.now(), 47), state: "delivered", attempts: 2, ended_at: at(Date.now(), 46) },
  ];

  /** Calls that are none of ours are not answered. */
  answer(call: string, query: URLSearchParams, given: Record<string, unknown>, own: string | undefined): Answer | undefined {
    const customer = own ?? query.get("customer") ?? undefined;
    if (call === "GET /time/incidents") return { status: 200, body: { incidents: incidents(Date.now(), customer) } };
    if (call === "GET /deliveries") {
      const deliveries = this.#deliveries.filter((each) => customer === undefined || each.customer === customer);
      const counted = (state: Delivery["state"]): number => deliveries.filter((each) => each.state === state).length;
      return { status: 200, body: { mail_configured: true, waiting: counted("waiting"), given_up: counted("given-up"), deliveries } };
    }
    if (call === "POST /deliveries/now") return { status: 202, body: { deliveries: 1 } };
    const [, verb, id, act] = /^(\S+) \/customers\/[^/]+\/(?:webhooks\/?([^/]*)\/?(\w*)|test)$/.exec(call) ?? [];
    if (verb === undefined) return undefined;
    if (id === undefined) return { status: 202, body: { deliveries: 3 } };
    if (verb === "GET") return { status: 200, body: { webhooks: this.#webhooks } };
    if (verb === "DELETE") {
      this.#webhooks = this.#webhooks.filter((each) => each.id !== id);
      return { status: 204 };
    }
    return act === "secret" ? this.#rotate(id) : this.#add(String(given["url"]));
  }

  #rotate(id: string): Answer {
    this.#webhooks = this.#webhooks.map((each) => (each.id === id ? { ...each, old_secret_until: at(Date.now(), -1_440) } : each));
    const webhook = this.#webhooks.find((each) => each.id === id);
    return webhook === undefined ? { status: 404, problem: "unknown", title: "Not found" } : { status: 200, body: { webhook, secret: SECRET } };
  }

  #add(url: string): Answer {
    if (!/^https:\/\/[^/]+/.test(url)) return { status: 422, problem: "invalid", title: "url: it begins with https://" };
    this.#next += 1;
    const webhook: Webhook = { id: `whk_${this.#next}`, url, made_at: at(Date.now(), 0), old_secret_until: undefined };
    this.#webhooks.push(webhook);
    return { status: 201, body: { webhook, secret: SECRET } };
  }
}

const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
