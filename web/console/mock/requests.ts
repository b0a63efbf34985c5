// Requests of the made-up site: every one is answered by the password of everybody, the key 123456, and no passkey.
// /login/both, /login/key, /login/agree, /login/expired, /login/refused, /login/accepted and /login/cancelled show each state.
import type { RequestMethod, RequestShown } from "@angbu/shared/client";
import type { Answer } from "./accounts";

interface Kept {
  shown: RequestShown;
  who: string | undefined;
}

const FOREVER = "2099-01-01T00:00:00.000000000Z";
const BOTH: RequestMethod[][] = [["passkey"], ["password", "keys"]];

export class Requests {
  readonly #kept = new Map<string, Kept>();
  #number = 0;

  /** `name` is who has this name and password; a session begins with `signedIn`. */
  answer(call: string, given: Record<string, unknown>, known: (name: string, password: string) => boolean): Answer | { readonly signedIn: string } | undefined {
    if (call === "POST /session/request") {
      this.#number += 1;
      return { status: 200, body: this.#make(`console-${this.#number}`, [["passkey"], ["password"]]).shown };
    }
    const [, id = "", act = ""] = /^\S+ \/requests\/([^/]+)\/(.+)$/.exec(call) ?? [];
    if (id === "") return undefined;
    if (id === "unknown") return { status: 404, problem: "unknown", title: "Not found" };
    const kept = this.#kept.get(id) ?? this.#make(id, id === "key" ? [["keys"]] : BOTH);
    const { shown } = kept;
    if (act === "session") return { signedIn: kept.who ?? "" };
    if (act === "cancel") end(kept, "cancelled");
    if (act === "answers/passkey/begin") {
      return { status: 200, body: { challenge: "AAAA", timeout: 300_000, rpId: "localhost", allowCredentials: [], userVerification: "required" } };
    }
    if (!act.startsWith("answers/")) return { status: 200, body: shown };
    const method = act.slice("answers/".length) as RequestMethod;
    const who = String(given.login_id ?? kept.who ?? shown.login_id ?? "");
    const right = method === "password" ? known(who, String(given.password)) : given.ota_key === "123456";
    if (right) {
      kept.who = who;
      shown.done = [...shown.done, method];
      shown.next = shown.methods.flatMap((each) => (shown.done.every((done) => each.includes(done)) ? each.filter((one) => !shown.done.includes(one)) : []));
      if (shown.methods.some((each) => each.every((one) => shown.done.includes(one)))) end(kept, "accepted");
    } else {
      shown.tries_left -= 1;
      if (shown.tries_left === 0) end(kept, "refused");
    }
    return { status: 200, body: { right, shown } };
  }

  #make(id: string, methods: RequestMethod[][]): Kept {
    const console_ = id.startsWith("console");
    const shown: RequestShown = {
      id,
      purpose: id === "agree" ? "signature" : "login",
      title: id === "agree" ? "Release of payment 4711" : console_ ? "Angbu" : "Orders",
      text: id === "agree" ? "To: Hanbit Optics\nAmount: 12,400,000 KRW\nDue: tomorrow" : console_ ? "" : "Orders of Hanbit wants to know who you are.",
      relying_party: console_ ? "console" : "shop",
      customer: "hanbit",
      login_id: id === "key" ? "minsu.kim" : null,
      methods,
      done: [],
      next: [...new Set(methods.flat())],
      expires_at: FOREVER,
      seconds_left: 290,
      tries_left: 5,
      verdict: null,
      next_url: null,
    };
    const kept: Kept = { shown, who: undefined };
    const verdict = (["expired", "refused", "accepted", "cancelled"] as const).find((each) => each === id);
    if (verdict !== undefined) end(kept, verdict);
    this.#kept.set(id, kept);
    return kept;
  }
}

function end(kept: Kept, verdict: NonNullable<RequestShown["verdict"]>): void {
  kept.shown.verdict = verdict;
  kept.shown.next = [];
  kept.shown.seconds_left = 0;
}
