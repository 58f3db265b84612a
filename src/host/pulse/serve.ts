import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Answer, Answers } from "./answers.ts";
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
export function serve(server: Server, answers: Answers, posts: Posts): void {
  const handle = (request: IncomingMessage, response: ServerResponse, expectsContinue = false): void => {
    // Exact paths only: nothing is decoded, joined or resolved, so nothing can be walked.
    const path = (request.url ?? "").split("?", 1)[0]!;
    if (POST_PATHS.has(path) && request.method === "POST") {
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
    return problem(404, "NOT_FOUND", "no such page: /status, /health, /election/status, /metrics, /metrics/prometheus");
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
    case "/election/status":
      return () => answers.election();
    case "/metrics":
    case "/metrics/prometheus":
      return () => answers.metrics();
    default:
      return null;
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
