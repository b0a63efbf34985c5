// Answers the console's calls with the made-up site, in `vite` and in `vite preview --mode mock`.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";
import { agents, centre, customers, graph, head } from "./site";

/** Name and passwords of the made-up operator. The one-time password leads to the page that changes it. */
const OPERATOR = "operator";
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
  async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = new URL(request.url ?? "/", `http://${request.headers.host ?? "localhost"}`);
    if (!url.pathname.startsWith("/api/v1/")) return false;
    const call = `${request.method} ${url.pathname.slice("/api/v1".length)}`;
    const session = /angbu_session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    if (call === "POST /session") await this.#signIn(request, response);
    else if (call === "DELETE /session") {
      response.setHeader("set-cookie", "angbu_session=; Max-Age=0; Path=/");
      empty(response);
    } else if (session === undefined) problem(response, 401, "not-signed-in", "Not signed in");
    else if (call === "GET /session") json(response, this.#session(session === "new"));
    else if (call === "POST /session/password") {
      response.setHeader("set-cookie", "angbu_session=signed-in; Path=/; HttpOnly; SameSite=Strict");
      empty(response);
    } else if (call === "POST /time/reports") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end("<!doctype html><title>Made up</title><p>A real centre makes a real report.");
    } else if (call === "GET /time/stream") stream(request, response, url.searchParams.get("customer") ?? undefined);
    else this.#read(call, url, response);
    return true;
  }

  #session(must_change_password: boolean): object {
    return { operator: { id: "opr_1", name: OPERATOR }, must_change_password };
  }

  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { name, password } = JSON.parse(await body(request)) as { name: string; password: string };
    const fresh = password === ONE_TIME;
    if (name !== OPERATOR || (password !== LASTING && !fresh)) {
      problem(response, 401, "wrong-password", "Wrong name or password");
      return;
    }
    response.setHeader("set-cookie", `angbu_session=${fresh ? "new" : "signed-in"}; Path=/; HttpOnly; SameSite=Strict`);
    json(response, this.#session(fresh));
  }

  #read(call: string, url: URL, response: ServerResponse): void {
    const now = Date.now();
    const query = url.searchParams;
    const customer = /^GET \/customers\/([^/]+)$/.exec(call)?.[1];
    const agent = /^GET \/time\/agents\/([^/]+)\/graph$/.exec(call)?.[1];
    const found =
      call === "GET /centre"
        ? centre(now, url.origin)
        : call === "GET /evidence/head"
          ? head(now)
          : call === "GET /customers"
            ? { customers: customers(now) }
            : call === "GET /time/agents"
              ? { agents: agents(query.get("customer") ?? undefined, now) }
              : customer !== undefined
                ? customers(now).find((each) => each.name === decodeURIComponent(customer))
                : agent !== undefined
                  ? graph(agent, Date.parse(query.get("from") ?? ""), Date.parse(query.get("to") ?? ""), Number(query.get("points") ?? 400))
                  : undefined;
    if (found === undefined) problem(response, 404, "unknown", "Not found");
    else json(response, found);
  }
}

function stream(request: IncomingMessage, response: ServerResponse, customer: string | undefined): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const send = (event: string, data: unknown): void => void response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const tell = (): void => {
    const now = Date.now();
    for (const agent of agents(customer, now)) {
      send("agent", agent);
      const { id, offset_ns, delay_ns, bound_ns } = agent;
      if (agent.verdict !== "not-proven") send("exchange", { agent: id, at_ms: now, offset_ns, delay_ns, bound_ns });
    }
    send("head", head(now));
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
