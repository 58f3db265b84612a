import type { PulseSnapshot } from "#ports";

/** What the two threads say to each other; everything by value, except the beat counter, which is shared memory. */

/** Who may change something over HTTP: callers on this machine, and those with the key. */
export interface PostRules {
  /** Names that a Host header may have besides `localhost` and any address. */
  readonly hostNames: readonly string[];
  /** Of the admin key, in hex; the key itself has no business in this thread. Null: there is none. */
  readonly adminKeySha256: string | null;
}

export interface PulseStart {
  readonly host: string;
  readonly port: number;
  readonly nodeId: string;
  readonly posts: PostRules;
  /** One Int32 that main increments while its event loop turns. */
  readonly beats: SharedArrayBuffer;
}

export type ToPulse =
  | { readonly kind: "snapshot"; readonly snapshot: PulseSnapshot }
  | { readonly kind: "answer"; readonly id: number; readonly code: number; readonly body: object }
  | { readonly kind: "close" };

export type FromPulse =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "request"; readonly id: number; readonly path: string; readonly body: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** Main beats at this pace; the thread looks at the same pace. */
export const BEAT_MS = 200;
/** Silent for longer: `/health` says degraded, and why. */
export const DEGRADED_AFTER_MS = 2_000;
/** Silent for longer: held dead, whatever the last snapshot said. A hung process must not look alive for ever. */
export const STALLED_AFTER_MS = 30_000;
