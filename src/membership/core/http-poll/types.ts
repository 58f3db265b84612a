import type { Brand, MonotonicMs, NodeId } from "#kernel";

export type PollId = Brand<number, "PollId">;

/** Base addresses of a peer's status port, in order of preference: `http://203.0.113.7:8770`. */
export interface Peer {
  readonly id: NodeId;
  readonly addresses: readonly [string, ...string[]];
}

/** A request that the driver makes: GET `/status` at `address`. It answers with `handleResult`, whatever happens. */
export interface Poll {
  readonly poll: PollId;
  readonly peer: NodeId;
  readonly address: string;
  readonly timeoutMs: number;
}

export type PollResult =
  /** `nodeId` and `boot` as the answer names them; `boot` changes with every start of that node, null when it is not told. */
  | { readonly kind: "answered"; readonly nodeId: NodeId; readonly boot: string | null }
  | { readonly kind: "failed"; readonly why: PollFailure };

/** `wrong-node`: another node answered there. `lost`: the driver never told how the poll ended. */
export type PollFailure = "timeout" | "refused" | "status" | "not-json" | "wrong-node" | "lost";

/** `unknown`: in the configuration, and neither heard nor held dead yet. `suspect`: the last poll failed. */
export type PeerState = "unknown" | "alive" | "suspect" | "dead";

/** The names are SWIM's, so that both detectors read alike. */
export type HttpPollEvent =
  | { readonly kind: "joined"; readonly id: NodeId }
  | { readonly kind: "suspected"; readonly id: NodeId; readonly why: PollFailure }
  | { readonly kind: "refuted"; readonly id: NodeId }
  | { readonly kind: "died"; readonly id: NodeId; readonly why: PollFailure }
  | { readonly kind: "recovered"; readonly id: NodeId; readonly restarted: boolean }
  /** It answers with another boot, and was never held dead in between. */
  | { readonly kind: "restarted"; readonly id: NodeId }
  | { readonly kind: "removed"; readonly id: NodeId }
  | { readonly kind: "address-changed"; readonly id: NodeId; readonly before: string; readonly now: string }
  | { readonly kind: "wrong-node"; readonly id: NodeId; readonly answered: NodeId; readonly address: string };

export interface PeerView {
  readonly id: NodeId;
  readonly state: PeerState;
  readonly since: MonotonicMs;
  /** The one that is asked next. */
  readonly address: string;
  readonly heardAt: MonotonicMs | null;
  readonly rttMs: number | null;
  readonly failuresInARow: number;
  readonly boot: string | null;
}

/** This node's view; peers ordered by id. */
export interface HttpPollView {
  readonly at: MonotonicMs;
  readonly peers: readonly PeerView[];
  readonly polls: number;
  readonly answered: number;
  readonly failed: Readonly<Record<PollFailure, number>>;
}

/** The legacy detector as a polled machine, driven like {@link SwimCore}: inputs carry `now`, outputs are taken. */
export interface HttpPollCore {
  /** Replaces the peers. Those that stay keep their state. */
  setPeers(now: MonotonicMs, peers: readonly Peer[]): void;
  handleResult(now: MonotonicMs, poll: PollId, result: PollResult): void;
  /** The peer itself was heard (it polled this node): no proof that it can be reached, but reason to ask at once. */
  handleContact(now: MonotonicMs, id: NodeId): void;
  handleTimeout(now: MonotonicMs): void;
  takePolls(): readonly Poll[];
  takeEvents(): readonly HttpPollEvent[];
  readonly nextDeadline: MonotonicMs | null;
  view(now: MonotonicMs): HttpPollView;
}
