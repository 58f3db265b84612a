import type { IncomingMessage, ServerResponse } from "node:http";
import type { Answer } from "./answers.ts";
import type { FromPulse, PostRules } from "./messages.ts";

/** The gossip keys are in this thread, and so is who has which; everything else is main's. */
const GOSSIP_KEYS_PATH = "/admin/gossip-keys";
export const POST_PATHS: ReadonlySet<string> = new Set(["/election/trigger", "/admin/trigger-election", GOSSIP_KEYS_PATH]);

const MAX_BODY_BYTES = 16_384;
const MAX_WAITING = 16;
const MAIN_TIMEOUT_MS = 20_000;

/** Requests that change something: who may make them is decided here, what they do is main's, but for the gossip keys. */
export class Posts {
  readonly #rules: PostRules;
  readonly #tell: (message: FromPulse) => void;
  readonly #changeKeys: (body: string) => Promise<Answer | null>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  /** `changeKeys` gives null where no gossip key is in use. */
  constructor(rules: PostRules, tell: (message: FromPulse) => void, changeKeys: (body: string) => Promise<Answer | null>) {
    this.#rules = rules;
    this.#tell = tell;
    this.#changeKeys = changeKeys;
  }

  async answer(request: IncomingMessage, response: ServerResponse, path: string, expectsContinue: boolean): Promise<Answer> {
    const refused = await whyNot(request, this.#rules);
    if (refused !== null) return refused;
    if (this.#waiting.size >= MAX_WAITING) return problem(429, "OVERLOADED", `${MAX_WAITING} requests are waiting already`);
    if (expectsContinue) response.writeContinue();
    const body = await read(request);
    if (body === null) return problem(413, "INVALID_ARGUMENT", `the body has more than ${MAX_BODY_BYTES} bytes`);
    if (path !== GOSSIP_KEYS_PATH) return await this.#askMain(path, body);
    return (await this.#changeKeys(body)) ?? problem(404, "NOT_FOUND", "no gossip keys are in use on this node");
  }

  answered(id: number, code: number, body: object): void {
    this.#waiting.get(id)?.({ code, type: "application/json", body: `${JSON.stringify(body)}\n` });
    this.#waiting.delete(id);
  }

  #askMain(path: string, body: string): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const id = ++this.#lastId;
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      resolve(problem(504, "UNKNOWN_OUTCOME", `no answer within ${MAIN_TIMEOUT_MS} ms: it may still be done`));
    }, MAIN_TIMEOUT_MS);
    this.#waiting.set(id, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    this.#tell({ kind: "request", id, path, body });
    return promise;
  }
}

export function problem(code: number, reason: string, message: string): Answer {
  return { code, type: "application/json", body: `${JSON.stringify({ error: { code, reason, message } })}\n` };
}

/**
 * A browser sends Origin with every request of a page, and a page that was rebound to this address (DNS rebinding) sends the
 * name of its own host: neither may act for the person in front of it.
 */
async function whyNot(request: IncomingMessage, rules: PostRules): Promise<Answer | null> {
  const { headers } = request;
  if (headers.origin !== undefined) return problem(403, "PERMISSION_DENIED", "requests of web pages (Origin) are refused");
  if (!isOurHost(headers.host ?? "", rules.hostNames)) {
    return problem(403, "PERMISSION_DENIED", "the Host header names neither an address nor a name of this node");
  }
  const key = headers["x-admin-key"];
  if (key !== undefined) {
    const right = typeof key === "string" && rules.adminKeySha256 !== null && (await isKey(key, rules.adminKeySha256));
    return right ? null : problem(401, "UNAUTHENTICATED", "X-Admin-Key is not this node's admin key");
  }
  if (isFromHere(request)) return null;
  return problem(403, "PERMISSION_DENIED", "from another machine this needs the header X-Admin-Key");
}

/** An IP address in Host cannot be rebound; a name must be one of ours. */
function isOurHost(host: string, names: readonly string[]): boolean {
  const name = host.replace(/:\d{1,5}$/, "").toLowerCase();
  if (/^(?:\d{1,3}\.){3}\d{1,3}$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name)) return true;
  return name === "localhost" || names.some((own) => own.toLowerCase() === name);
}

/** A proxy on this machine speaks for somebody else. */
function isFromHere({ socket, headers }: IncomingMessage): boolean {
  if (headers["x-forwarded-for"] !== undefined || headers.forwarded !== undefined) return false;
  return /^(?:::ffff:)?127\.|^::1$/.test(socket.remoteAddress ?? "");
}

/** Loaded at the first key: most nodes never see one. */
async function isKey(offered: string, sha256: string): Promise<boolean> {
  const { createHash, timingSafeEqual } = await import("node:crypto");
  return timingSafeEqual(createHash("sha256").update(offered).digest(), Buffer.from(sha256, "hex"));
}

/** Counted as it comes: Content-Length is only what somebody says. Null when it is too long. */
async function read(request: IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_BODY_BYTES) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
