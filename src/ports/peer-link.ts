import type { NodeId } from "#kernel";

/**
 * Ordered, lossy message links to the other voters. `Message` is Raft's; the port does not look inside.
 * A send to an unreachable peer is dropped in silence: Raft repeats.
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
