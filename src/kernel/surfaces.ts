/**
 * One row per reason: how a refusal looks on every surface. Plain numbers, so that server, client and CLI read the same
 * row. `docs/errors.md` is checked against this table.
 *
 * - `grpc`: status code (google.rpc.Code). ABORTED = read again and redo; FAILED_PRECONDITION = do not retry;
 *   UNAVAILABLE = retry the same call.
 * - `retry`: `never` | `redo` (re-read first) | `later` (same call, same sequence, after a pause) | `elsewhere` (another node)
 *   | `unknown` (the outcome is not known; retry with the same sequence only).
 */
export interface Surface {
  readonly grpc: number;
  readonly http: number;
  readonly exit: number;
  readonly retry: "never" | "redo" | "later" | "elsewhere" | "unknown";
  readonly hint: string;
}

export const surfaces = {
  INVALID_ARGUMENT: { grpc: 3, http: 400, exit: 2, retry: "never", hint: "Correct the named field." },
  UNIMPLEMENTED: {
    grpc: 12,
    http: 501,
    exit: 2,
    retry: "never",
    hint: "Leave the named field out; this version does not do it yet.",
  },
  NOT_FOUND: { grpc: 5, http: 404, exit: 3, retry: "never", hint: "Check the name; list the objects of this kind." },
  ALREADY_EXISTS: { grpc: 6, http: 409, exit: 4, retry: "never", hint: "Read the existing object before you write." },
  CONFLICT: { grpc: 10, http: 409, exit: 4, retry: "redo", hint: "The object changed meanwhile: read it again and redo." },
  FENCED: { grpc: 9, http: 412, exit: 4, retry: "never", hint: "Another holder has a newer fencing token: stop this work." },
  SESSION_EXPIRED: { grpc: 9, http: 412, exit: 4, retry: "never", hint: "Open a new session; whatever this one held is lost." },
  BAD_STATE: { grpc: 9, http: 412, exit: 4, retry: "never", hint: "The object's state does not allow this; read it first." },
  COMPACTED: {
    grpc: 11,
    http: 410,
    exit: 4,
    retry: "redo",
    hint: "History before the named revision is gone: list, then watch from there.",
  },
  QUOTA_EXCEEDED: { grpc: 8, http: 429, exit: 9, retry: "later", hint: "A limit is reached: wait, or free what you hold." },
  OVERLOADED: { grpc: 8, http: 429, exit: 9, retry: "later", hint: "The voter is at its intake limit: back off and retry." },
  NO_LEADER: {
    grpc: 14,
    http: 503,
    exit: 5,
    retry: "elsewhere",
    hint: "No leader is known: check that a majority of voters is up.",
  },
  NO_QUORUM: { grpc: 14, http: 503, exit: 5, retry: "later", hint: "The leader cannot reach a majority of voters." },
  NOT_LEADER: { grpc: 14, http: 307, exit: 5, retry: "elsewhere", hint: "Ask the named leader." },
  UNAVAILABLE: {
    grpc: 14,
    http: 503,
    exit: 5,
    retry: "elsewhere",
    hint: "The node cannot be reached, is stopping, or is no member: try another.",
  },
  TIMEOUT: { grpc: 4, http: 504, exit: 6, retry: "later", hint: "The time given was not enough; nothing was changed." },
  UNKNOWN_OUTCOME: {
    grpc: 4,
    http: 504,
    exit: 6,
    retry: "unknown",
    hint: "It may or may not have happened: retry with the same sequence.",
  },
  CANCELLED: { grpc: 1, http: 499, exit: 1, retry: "never", hint: "The caller gave up." },
  UNAUTHENTICATED: { grpc: 16, http: 401, exit: 7, retry: "never", hint: "Present a valid certificate or token." },
  PERMISSION_DENIED: { grpc: 7, http: 403, exit: 7, retry: "never", hint: "This identity may not do that." },
  INTERNAL: { grpc: 13, http: 500, exit: 1, retry: "never", hint: "A defect of ringraft: see the node's log." },
} as const satisfies Record<string, Surface>;

/** The stable code of every refusal. Adding one here is what makes it exist. */
export type Reason = keyof typeof surfaces;

/** Exit codes of the server process (sysexits.h). The CLI's own codes are in {@link surfaces}. */
export const exitCodes = { ok: 0, failed: 1, usage: 64, io: 74, temporary: 75, config: 78 } as const;
