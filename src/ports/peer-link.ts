import type { NodeId } from "#kernel";

/**
 * Ordered, lossy message links to the other voters. `Message` is Raft's; the port does not look inside.
 * A send to an unreachable peer is dropped in silence: Raft repeats.
 */
export interface PeerLinks<Message> {
  send(to: NodeId, message: Message): void;
  /** Peers with a live, handshaken stream at this moment. */
  connected(): ReadonlySet<NodeId>;
  close(): Promise<void>;
}

export interface PeerLinkEvents<Message> {
  readonly onMessage: (from: NodeId, message: Message) => void;
  readonly onConnected: (peer: NodeId) => void;
  readonly onDisconnected: (peer: NodeId) => void;
}
