import { ExitError } from "#kernel";
import { UsageError } from "./command.ts";

/** Option of every command that asks one node over its status port. */
export const httpOption = { http: { type: "string" } } as const;

export const httpHelp = `      --http URL|HOST:PORT  the node's HTTP port (default $RINGRIFT_HTTP, else http://127.0.0.1:8770)`;

export interface HttpAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** GET of one page of one node; throws ExitError (5) when nobody answers with JSON. */
export async function askNode(
  base: string | undefined,
  path: string,
  timeoutMs: number,
  signal: AbortSignal | null = null,
): Promise<HttpAnswer> {
  return await request(base, path, timeoutMs, { signal });
}

/** POST of one order to one node; throws as {@link askNode} does. A node asks others than its own machine for its admin key. */
export async function orderNode(
  base: string,
  path: string,
  timeoutMs: number,
  { order, adminKey }: { readonly order: object; readonly adminKey: string | null },
): Promise<HttpAnswer> {
  const headers = { "content-type": "application/json", ...(adminKey === null ? {} : { "x-admin-key": adminKey }) };
  return await request(base, path, timeoutMs, { method: "POST", headers, body: JSON.stringify(order), redirect: "error" });
}

async function request(base: string | undefined, path: string, timeoutMs: number, more: RequestInit): Promise<HttpAnswer> {
  const url = pageUrl(base ?? process.env["RINGRIFT_HTTP"] ?? "http://127.0.0.1:8770", path);
  try {
    const overdue = AbortSignal.timeout(timeoutMs);
    const signal = more.signal == null ? overdue : AbortSignal.any([more.signal, overdue]);
    const answer = await fetch(url, { ...more, signal });
    return { status: answer.status, body: (await answer.json()) as HttpAnswer["body"] };
  } catch (error) {
    throw new ExitError(5, `no answer from ${url.href}`, "Is the node up? --http names another one.", { cause: error });
  }
}

/** Takes HOST:PORT as well, as every other command does. */
function pageUrl(base: string, path: string): URL {
  const url = URL.parse(path, base.includes("://") ? base : `http://${base}`);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError(`--http: "${base}" is not a URL such as http://127.0.0.1:8770`);
}
