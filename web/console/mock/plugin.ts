// Answers the console's calls with the made-up site, in `vite` and in `vite preview --mode mock`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Head } from "@angbu/shared/client";
import type { Plugin } from "vite";
import { Accounts, type Answer } from "./accounts";
import { Calibrations, operations } from "./operations";
import { Log } from "./evidence";
import { Keys } from "./keys";
import { Parties } from "./parties";
import { Notices } from "./notices";
import { PASSKEYS, registration } from "./passkeys";
import { Requests } from "./requests";
import { GIVEN, session } from "./roles";
import { agents, agentsPage, centre, customers, graph } from "./site";

/** The passwords of everybody in roles.ts. The one-time password leads to the page that changes it. */
const ONE_TIME = "one-time-password";
const LASTING = "correct horse battery staple";

/** The policy that a real centre sends: what the console may not need is refused here too. */
const POLICY = "default-src 'self'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

export function mock(): Plugin {
  const seen = new MockCentre();
  const handle = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    void seen.answer(request, response).then((answered) => answered || next());
  };
  return {
    name: "angbu-mock",
    configureServer: (server) => void server.middlewares.use(handle),
    configurePreviewServer: (server) =>
      void server.middlewares.use((request, response, next) => {
        response.setHeader("content-security-policy", POLICY);
        handle(request, response, next);
      }),
  };
}

class MockCentre {
  readonly #accounts = new Accounts();
  readonly #calibrations = new Calibrations();
  readonly #keys = new Keys();
  readonly #log = new Log();
  readonly #parties = new Parties();
  readonly #notices = new Notices();
  readonly #requests = new Requests();
  /** Whether the newest password was a one-time one. */
  #fresh = false;

  async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = new URL(request.url ?? "/", `http://${request.headers.host ?? "localhost"}`);
    if (!url.pathname.startsWith("/api/v1/")) return false;
    const call = `${request.method} ${url.pathname.slice("/api/v1".length)}`;
    const [name = "", state] = (/angbu_session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "").split(".");
    const who = session(name, state === "new");
    if (call.startsWith("POST /shared")) tell(response, this.#parties.stranger(call, JSON.parse(await body(request)), Date.now()) ?? { status: 404, problem: "unknown", title: "Not found" });
    else if (call === "POST /session/request" || /^\S+ \/requests\//.test(call)) await this.#request(call, request, response);
    else if (call === "POST /passkeys/begin") json(response, registration("minsu.kim"));
    else if (call === "DELETE /session") {
      response.setHeader("set-cookie", "angbu_session=; Max-Age=0; Path=/");
      empty(response);
    } else if (who === undefined) problem(response, 401, "not-signed-in", "Not signed in");
    else if (call === "GET /session") json(response, who);
    else if (call === "GET /session/passkeys" || /^GET \/people\/[^/]+\/passkeys$/.test(call)) json(response, { passkeys: PASSKEYS });
    else if (call === "POST /session/passkeys/begin") json(response, registration(who.staff.name));
    else if (/^POST \/people\/[^/]+\/passkeys$/.test(call)) json(response, { url: `${url.origin}/passkeys#made-up`, expires_at: "2099-01-01T00:00:00Z" });
    else if (/^DELETE .*\/passkeys\//.test(call)) empty(response);
    else if (call === "POST /session/password") {
      response.setHeader("set-cookie", `angbu_session=${name}; Path=/; HttpOnly; SameSite=Strict`);
      empty(response);
    } else if (call === "POST /time/reports") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end("<!doctype html><title>Made up</title><p>A real centre makes a real report.");
    } else if (call === "GET /time/stream") this.#stream(request, response, url.searchParams.get("customer") ?? undefined);
    else {
      const sent = request.method === "GET" ? "" : await body(request);
      const given = sent === "" ? {} : (JSON.parse(sent) as Record<string, unknown>);
      const own = who.staff.customer?.name;
      const settled =
        this.#notices.answer(call, url.searchParams, given, own) ??
        this.#keys.answer(call, url.searchParams, given, who) ??
        this.#parties.answer(call, url.searchParams, given, Date.now()) ??
        this.#accounts.answer(call, url.searchParams, given, who) ??
        this.#calibrations.answer(call, given, who.scopes.includes("operator")) ??
        this.#evidence(call, url.searchParams, given, own) ??
        this.#read(call, url, own);
      tell(response, call.startsWith("PATCH /customers/") ? this.#read(`GET ${call.slice("PATCH ".length)}`, url, own) : settled);
    }
    return true;
  }

  async #request(call: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = request.method === "GET" ? "" : await body(request);
    const given = sent === "" ? {} : (JSON.parse(sent) as Record<string, unknown>);
    const known = (name: string, password: string): boolean => {
      const fresh = password === ONE_TIME || password === GIVEN;
      this.#fresh = fresh;
      return session(name, fresh) !== undefined && (password === LASTING || fresh);
    };
    const answered = this.#requests.answer(call, given, known) ?? { status: 404, problem: "unknown", title: "Not found" };
    if (!("signedIn" in answered)) return tell(response, answered);
    response.setHeader("set-cookie", `angbu_session=${answered.signedIn}${this.#fresh ? ".new" : ""}; Path=/; HttpOnly; SameSite=Strict`);
    json(response, session(answered.signedIn, this.#fresh));
  }

  #customers(now: number, own: string | undefined): ReturnType<typeof customers> {
    return customers(now)
      .filter((each) => own === undefined || each.name === own)
      .map((each) => ({ ...each, ...this.#accounts.settings.get(each.name) }));
  }

  #evidence(call: string, query: URLSearchParams, given: Record<string, unknown>, own: string | undefined): Answer | undefined {
    const now = Date.now();
    const customer = own ?? query.get("customer") ?? undefined;
    const [, entry = "", act] = /^\S+ \/evidence\/entries\/([^/]+)(?:\/(\w+))?$/.exec(call) ?? [];
    const found = (body: unknown): Answer =>
      body === undefined ? { status: 404, problem: "unknown", title: "Not found" } : { status: 200, body };
    if (call === "GET /evidence/head") return found(this.#log.head(now));
    if (call === "GET /evidence/witnesses") return found({ witnesses: this.#log.witnesses(now) });
    if (call === "GET /evidence/kinds") return found({ kinds: this.#log.kinds(customer, now) });
    if (call === "GET /evidence/entries") return found(this.#log.entries(query, customer, now));
    if (call === "GET /evidence/growth") {
      const [from, to] = [Date.parse(query.get("from") ?? ""), Date.parse(query.get("to") ?? "")];
      return found({ points: this.#log.growth(from, to, Number(query.get("points") ?? 400)) });
    }
    if (call === "POST /evidence/confirm") {
      this.#log.confirm();
      return found({ entry_id: "01KAG00000000000000CONFIRM" });
    }
    if (call === "GET /evidence/keys") return found({ keys: this.#log.keys() });
    if (call.startsWith("POST /evidence/keys/")) return found({ id: 7, entry_id: this.#log.erase("", [], now) });
    if (entry === "") return undefined;
    if (act === "receipt") return found(this.#log.receipt(entry, now));
    if (act === "erase") return found({ entry_id: this.#log.erase(entry, given.fields as string[], now) });
    return found(this.#log.entry(entry, now));
  }

  #read(call: string, url: URL, own: string | undefined): Answer {
    const now = Date.now();
    const query = url.searchParams;
    const customer = /^GET \/customers\/([^/]+)$/.exec(call)?.[1];
    const agent = /^GET \/time\/agents\/([^/]+)\/graph$/.exec(call)?.[1];
    const found =
      call === "GET /centre"
        ? centre(now, url.origin, this.#log.head(now))
        : call === "GET /customers"
          ? { customers: this.#customers(now, own) }
          : call === "GET /time/agents"
            ? agentsPage(agents(own ?? query.get("customer") ?? undefined, now), query)
            : call === "GET /time/operations"
              ? operations(Date.parse(query.get("from") ?? ""), Date.parse(query.get("to") ?? ""), Number(query.get("points") ?? 200))
            : customer !== undefined
              ? this.#customers(now, own).find((each) => [each.name, each.id].includes(decodeURIComponent(customer)))
              : agent !== undefined
                ? graph(agent, Date.parse(query.get("from") ?? ""), Date.parse(query.get("to") ?? ""), Number(query.get("points") ?? 400))
                : undefined;
    return found === undefined ? { status: 404, problem: "unknown", title: "Not found" } : { status: 200, body: found };
  }

  #stream(request: IncomingMessage, response: ServerResponse, customer: string | undefined): void {
    stream(request, response, customer, () => this.#log.head(Date.now()));
  }
}

function tell(response: ServerResponse, answer: Answer): void {
  if ("problem" in answer) return problem(response, answer.status, answer.problem, answer.title);
  if (answer.body === undefined) return empty(response);
  if (typeof answer.body === "string") {
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end(answer.body);
    return;
  }
  response.statusCode = answer.status;
  json(response, answer.body);
}

function stream(request: IncomingMessage, response: ServerResponse, customer: string | undefined, head: () => Head): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const send = (event: string, data: unknown): void => void response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const tell = (): void => {
    const now = Date.now();
    for (const agent of agents(customer, now)) {
      send("agent", agent);
      const { id, offset_ns, delay_ns, bound_ns } = agent;
      if (agent.verdict !== "not-proven") send("exchange", { agent: id, at_ms: now, offset_ns, delay_ns, bound_ns });
    }
    send("head", head());
  };
  tell();
  const timer = setInterval(tell, 2_000);
  request.on("close", () => clearInterval(timer));
}

async function body(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
}

function empty(response: ServerResponse): void {
  response.statusCode = 204;
  response.end();
}

function problem(response: ServerResponse, status: number, type: string, title: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/problem+json");
  response.end(JSON.stringify({ type: `urn:angbu:problem:${type}`, title, status }));
}
