import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import type { Answer, Answers } from "./answers.ts";
import { ASKER_HEADER } from "./http-get.ts";
import { POST_PATHS, type Posts, problem } from "./posts.ts";

/** Node's defaults (60 s for headers, 300 s for a request, no limit of connections) are an invitation. */
export function harden(server: Server): void {
  server.headersTimeout = 5_000;
  server.requestTimeout = 15_000;
  server.keepAliveTimeout = 5_000;
  server.maxConnections = 256;
  server.maxHeadersCount = 64;
  server.on("clientError", (_, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else socket.destroy();
  });
}

/** Reads are answered here, from the last snapshot; what changes something goes on to main. */
export function serve(server: Server, answers: Answers, posts: Posts, onAsker: (nodeId: string) => void = () => {}): void {
  const waiters = new ConvergenceWaiters(answers);
  const handle = (request: IncomingMessage, response: ServerResponse, expectsContinue = false): void => {
    // Exact paths only: nothing is decoded, joined or resolved, so nothing can be walked.
    const path = (request.url ?? "").split("?", 1)[0]!;
    const asker = request.headers[ASKER_HEADER];
    if (typeof asker === "string" && path === "/status") onAsker(asker);
    const patienceMs = path === "/health" && request.method === "GET" ? convergencePatience(request.url ?? "") : null;
    if (patienceMs !== null) {
      void untilConverged(request, patienceMs, answers, waiters).then((answer) => write(request, response, answer));
    } else if (POST_PATHS.has(path) && request.method === "POST") {
      posts.answer(request, response, path, expectsContinue).then(
        (answer) => write(request, response, answer),
        // The caller is gone in the middle of its body.
        () => response.destroy(),
      );
    } else {
      write(request, response, route(request, path, answers));
    }
  };
  server.on("request", handle);
  // `Expect: 100-continue` asks whether to send a body: for a read, the answer itself says no.
  server.on("checkContinue", (request, response) => handle(request, response, true));
  server.on("checkExpectation", handle);
}

function route(request: IncomingMessage, path: string, answers: Answers): Answer {
  if (POST_PATHS.has(path)) return { ...problem(405, "UNIMPLEMENTED", "only POST"), allow: "POST" };
  const answer = pick(path, answers);
  if (answer === null) {
    return problem(
      404,
      "NOT_FOUND",
      "no such page: /status, /health, /v1/nodes, /election/status, /metrics, /metrics/prometheus",
    );
  }
  if (request.method === "GET" || request.method === "HEAD") return answer();
  return { ...problem(405, "UNIMPLEMENTED", "only GET and HEAD"), allow: "GET, HEAD" };
}

function pick(path: string | undefined, answers: Answers): (() => Answer) | null {
  switch (path) {
    case "/status":
      return () => answers.status();
    case "/health":
      return () => answers.health();
    case "/v1/nodes":
      return () => answers.nodes();
    case "/election/status":
      return () => answers.election();
    case "/metrics":
    case "/metrics/prometheus":
      return () => answers.metrics();
    default:
      return null;
  }
}

const CONVERGENCE_LOOK_MS = 100;
const MAX_PATIENCE_MS = 300_000;
const MAX_WAITS = 64;

/** `?converged=true&timeout=30s`: how long to wait for it in ms (0: look once), NaN when the time cannot be read; null: not asked for. */
function convergencePatience(url: string): number | null {
  const query = new URLSearchParams(url.split("?")[1] ?? "");
  if (query.get("converged") !== "true") return null;
  const [, digits, unit] = /^(\d{1,6})(ms|s|m)?$/.exec(query.get("timeout") ?? "0") ?? [];
  if (digits === undefined) return NaN;
  return Math.min(MAX_PATIENCE_MS, Number(digits) * (unit === "m" ? 60_000 : unit === "s" ? 1_000 : 1));
}

async function untilConverged(
  request: IncomingMessage,
  patienceMs: number,
  answers: Answers,
  waiters: ConvergenceWaiters,
): Promise<Answer> {
  if (Number.isNaN(patienceMs)) {
    return problem(400, "INVALID_ARGUMENT", "timeout must be milliseconds, or a whole number with ms, s or m, such as 30s");
  }
  const end = performance.now() + patienceMs;
  let answer = answers.converged();
  if (answer.code === 200 || patienceMs === 0) return answer;
  if (waiters.count >= MAX_WAITS) return problem(429, "OVERLOADED", `${MAX_WAITS} requests are waiting already`);
  waiters.count++;
  while (answer.code !== 200 && performance.now() < end && !request.socket.destroyed) answer = await waiters.nextLook();
  waiters.count--;
  return answer;
}

/** Who waits shares one look with all others who do: anybody may ask, and a look at thousands of members is not free. */
class ConvergenceWaiters {
  readonly #answers: Pick<Answers, "converged">;
  #next: Promise<Answer> | null = null;
  count = 0;

  constructor(answers: Pick<Answers, "converged">) {
    this.#answers = answers;
  }

  nextLook(): Promise<Answer> {
    return (this.#next ??= pause(CONVERGENCE_LOOK_MS).then(() => {
      this.#next = null;
      return this.#answers.converged();
    }));
  }
}

function write(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const body = Buffer.from(answer.body);
  const head: Record<string, string | number> = {
    "content-type": answer.type,
    "content-length": body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  if (answer.allow !== undefined) head["allow"] = answer.allow;
  // A body that we will not read would be taken for the next request on this connection.
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  if (hasBody && !request.complete) {
    head["connection"] = "close";
  }
  response.writeHead(answer.code, head);
  response.end(request.method === "HEAD" ? undefined : body);
}
