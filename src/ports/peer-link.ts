import type { NodeId } from "#kernel";

/**
 * Ordered, lossy message links to the other voters. `Message` is Raft's; the port does not look inside.
 * A send to an unreachable peer is dropped in silence: Raft repeats.
 *
 * Once a newer connection of a peer is established, nothing of an earlier one is delivered any more. A suspect voter relies
 * on that (docs/decisions/0011-suspect-voters.md): what it acknowledged in its last life must not arrive after it has told
 * that it may have lost it. Within one connection Raft stands messages that overtake each other; the links keep their order.
 */
export interface PeerLinks<Message> {
  send(to: NodeId, message: Message): void;
  /**
   * Whom this node speaks to from now on: every member it can reach an address for, and whoever speaks to it (a new member
   * that lags behind does not know its leader from the log yet). Until the first call, those it was opened with.
   */
  members(ids: ReadonlySet<NodeId>): void;
  /** Peers with a live, handshaken stream at this moment. */
  connected(): ReadonlySet<NodeId>;
  close(): Promise<void>;
}

export interface PeerLinkEvents<Message> {
  readonly onMessage: (from: NodeId, message: Message) => void;
  readonly onConnected: (peer: NodeId) => void;
  readonly onDisconnected: (peer: NodeId) => void;
}
