import grpc from "@grpc/grpc-js";
import type { ClusterId, LogIndex, NodeId, Random } from "#kernel";
import type { Log, PeerLinkEvents, PeerLinks, Timers } from "#ports";
import type { Message } from "#raft";
import { bindServer } from "#api";
import type { SentFrame } from "#codec";
import type { DirectoryFault, PeerDirectories } from "#storage";
import type { PeerFrame } from "#gen/ringraft/peer/v1/raft.js";
import { Inbound } from "./inbound.ts";
import { Outbound } from "./outbound.ts";
import type { PeerService } from "./views.ts";
import { channelOptions, connectMethod } from "./wire.ts";

/** PEM contents. Both sides show a certificate of `ca` that names their node. */
export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface PeerLinkOptions {
  readonly self: NodeId;
  readonly clusterId: ClusterId;
  /** Changes at every start of the process. */
  readonly incarnation: number;
  /** Of the data directory, as its identity says. */
  readonly directoryId: string;
  readonly starts: number;
  /** By which entry this node is a member, as its log has it at the moment. */
  readonly admission: () => LogIndex;
  readonly lastIndex: () => LogIndex;
  /** This node's own `host:port`, for peers whose configuration has not followed it to a new place. */
  readonly address?: string;
  /** `host:port` of every other node that may call, member or not. */
  readonly peers: ReadonlyMap<NodeId, string>;
  /** Whom to dial until {@link PeerLinks.members} says so. Default: all of `peers`. */
  readonly dialAtFirst?: ReadonlySet<NodeId>;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsMaterial | null;
  /** What else this port serves; default: nothing. */
  readonly services?: readonly PeerService[];
  /** Bytes that may wait for one slow peer; default 32 MiB. */
  readonly maxQueueBytes?: number;
}

export interface PeerLinkPorts {
  /** Judges and remembers the peers' data directories. */
  readonly directories: Pick<PeerDirectories, "admits" | "judge" | "meet">;
  /** A peer refuses this node's own data directory; null: it has accepted it. */
  readonly onDirectory: (by: NodeId, fault: DirectoryFault | null, why: string) => void;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
}

export interface GrpcPeerLinks extends PeerLinks<Message> {
  /** Listens, then dials. Resolves with the port taken; rejects with an error that names a port already in use. */
  start(): Promise<number>;
  /** `host:port` at which the link to this peer is open, wherever the configuration has it; null while there is none. */
  openAt(peer: NodeId): string | null;
}

/**
 * Links to the other voters over gRPC streams, one per direction: each node speaks on the stream that it dialled itself and
 * listens on those that it accepted. Two nodes that dial each other at once need no rule for which stream to keep.
 *
 * A node dials the members it knows of, and dials back whoever speaks to it: without that an answer would have no way.
 * "Connected" is about the speaking direction. `events` are called only after `start`.
 */
export function createPeerLinks(options: PeerLinkOptions, ports: PeerLinkPorts, events: PeerLinkEvents<Message>): GrpcPeerLinks {
  // Errors reach their callers; lines of another shape on stderr would only break a log of one JSON object per line.
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  return new StreamLinks(options, ports, events);
}

class StreamLinks implements GrpcPeerLinks {
  readonly #options: PeerLinkOptions;
  readonly #server = new grpc.Server(channelOptions);
  readonly #outbound = new Map<NodeId, Outbound>();
  readonly #inbound: Inbound;
  readonly #connected = new Set<NodeId>();
  readonly #onDisconnected: (peer: NodeId) => void;
  #members: ReadonlySet<NodeId>;
  #isUp = false;

  constructor(options: PeerLinkOptions, ports: PeerLinkPorts, events: PeerLinkEvents<Message>) {
    this.#options = options;
    const { peers, tls, maxQueueBytes = DEFAULT_QUEUE_BYTES } = options;
    const { log, timers, random, directories } = ports;
    this.#members = options.dialAtFirst ?? new Set(peers.keys());
    this.#onDisconnected = (peer) => {
      this.#connected.delete(peer);
      events.onDisconnected(peer);
    };
    this.#inbound = new Inbound(
      { identity: options, peers, requireCertificates: tls !== null, directories },
      {
        log,
        onMessage: events.onMessage,
        onOpened: (peer, address) => {
          this.#outbound.get(peer)?.alsoAt(address);
          this.#dialOrHangUp(peer);
          this.#outbound.get(peer)?.hurry();
        },
        onClosed: (peer) => this.#dialOrHangUp(peer),
      },
    );
    for (const [peer, address] of peers) {
      const onConnected = () => {
        this.#connected.add(peer);
        events.onConnected(peer);
      };
      const onDisconnected = () => this.#onDisconnected(peer);
      const onDirectory = (fault: DirectoryFault | null, why: string) => ports.onDirectory(peer, fault, why);
      const outboundOptions = { identity: options, peer, address, peers, tls, maxQueueBytes, directories };
      const outboundPorts = { log, timers, random, onConnected, onDisconnected, onDirectory };
      this.#outbound.set(peer, new Outbound(outboundOptions, outboundPorts));
    }
  }

  async start(): Promise<number> {
    this.#server.addService(
      { connect: connectMethod },
      { connect: (call: grpc.ServerDuplexStream<PeerFrame, SentFrame>) => this.#inbound.accept(call) },
    );
    const { listen, services = [] } = this.#options;
    for (const { definition, implementation } of services) this.#server.addService(definition, implementation);
    const port = await bindServer(this.#server, this.#credentials(), { what: `peer port ${listen.port} on`, ...listen });
    this.#isUp = true;
    for (const peer of this.#outbound.keys()) this.#dialOrHangUp(peer);
    return port;
  }

  members(ids: ReadonlySet<NodeId>): void {
    this.#members = ids;
    for (const peer of this.#outbound.keys()) this.#dialOrHangUp(peer);
    this.#inbound.reconsider();
  }

  send(to: NodeId, message: Message): void {
    this.#outbound.get(to)?.send(message);
  }

  openAt(peer: NodeId): string | null {
    return this.#outbound.get(peer)?.openAt ?? null;
  }

  connected(): ReadonlySet<NodeId> {
    return this.#connected;
  }

  close(): Promise<void> {
    this.#isUp = false;
    for (const outbound of this.#outbound.values()) outbound.close();
    this.#connected.clear();
    this.#inbound.close();
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  #dialOrHangUp(peer: NodeId): void {
    const outbound = this.#outbound.get(peer);
    if (outbound === undefined || !this.#isUp) return;
    if (this.#members.has(peer) || this.#inbound.hears(peer)) return outbound.start();
    outbound.close();
    if (this.#connected.has(peer)) this.#onDisconnected(peer);
  }

  #credentials(): grpc.ServerCredentials {
    const { tls } = this.#options;
    if (tls === null) return grpc.ServerCredentials.createInsecure();
    const { ca, cert, key } = tls;
    return grpc.ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true);
  }
}

const DEFAULT_QUEUE_BYTES = 32 * 1024 * 1024;
