import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Answer, Answers } from "./answers.ts";

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

/** Reads only; whatever is not answered here is where requests for main will pass on. */
export function serve(server: Server, answers: Answers): void {
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    write(request, response, route(request, answers));
  };
  server.on("request", handle);
  // `Expect: 100-continue` asks whether to send a body: the answer itself says no.
  server.on("checkContinue", handle);
  server.on("checkExpectation", handle);
}

function route(request: IncomingMessage, answers: Answers): Answer {
  // Exact paths only: nothing is decoded, joined or resolved, so nothing can be walked.
  const [path] = (request.url ?? "").split("?", 1);
  const answer = pick(path, answers);
  if (answer === null) return problem(404, "NOT_FOUND", "no such page: /status, /health, /metrics, /metrics/prometheus");
  if (request.method === "GET" || request.method === "HEAD") return answer();
  return problem(405, "UNIMPLEMENTED", "only GET and HEAD");
}

function pick(path: string | undefined, answers: Answers): (() => Answer) | null {
  switch (path) {
    case "/status":
      return () => answers.status();
    case "/health":
      return () => answers.health();
    case "/metrics":
    case "/metrics/prometheus":
      return () => answers.metrics();
    default:
      return null;
  }
}

function problem(code: number, reason: string, message: string): Answer {
  return { code, type: "application/json", body: `${JSON.stringify({ error: { code, reason, message } })}\n` };
}

function write(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const body = Buffer.from(answer.body);
  const head: Record<string, string | number> = {
    "content-type": answer.type,
    "content-length": body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  if (answer.code === 405) head["allow"] = "GET, HEAD";
  // A body that we will not read would be taken for the next request on this connection.
  if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) {
    head["connection"] = "close";
  }
  response.writeHead(answer.code, head);
  response.end(request.method === "HEAD" ? undefined : body);
}
