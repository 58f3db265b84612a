import { get } from "node:http";
import type { HttpGet, HttpGetResult } from "#ports";

/** Says who asks: the peer then polls back at once if it held this node dead. */
export const ASKER_HEADER = "x-ringraft-node-id";

const MAX_BODY_BYTES = 1_048_576;

/** Requests over a connection of their own: a poll must find a dead listener, not a pooled socket. */
export function httpGetAs(nodeId: string): HttpGet {
  return (url, timeoutMs) => {
    const { promise, resolve } = Promise.withResolvers<HttpGetResult>();
    const request = get(url, { agent: false, headers: { [ASKER_HEADER]: nodeId } }, (response) => {
      const pieces: Buffer[] = [];
      let size = 0;
      response.on("data", (piece: Buffer) => {
        size += piece.length;
        if (size > MAX_BODY_BYTES) request.destroy(new Error("the body is too long"));
        else pieces.push(piece);
      });
      response.once("end", () =>
        resolve({ kind: "answered", status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString("utf8") }),
      );
      response.once("error", () => resolve({ kind: "failed", why: "refused" }));
    });
    let isLate = false;
    const patience = setTimeout(() => {
      isLate = true;
      request.destroy(new Error("timeout"));
    }, timeoutMs);
    request.once("error", () => resolve({ kind: "failed", why: isLate ? "timeout" : "refused" }));
    request.once("close", () => {
      clearTimeout(patience);
      resolve({ kind: "failed", why: isLate ? "timeout" : "refused" });
    });
    return promise;
  };
}
