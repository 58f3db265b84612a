import grpc from "@grpc/grpc-js";
import type { NodeId } from "#kernel";
import type { Log } from "#ports";
import type { Message } from "#raft";
import { type SentFrame, raftMessageFromProto } from "#codec";
import type { PeerFrame } from "#gen/ringraft/peer/v1/raft.js";
import { type Identity, PROTOCOL_VERSION, helloTo, whyForeignCertificate, whyUnfit } from "./handshake.ts";

export interface InboundOptions {
  readonly identity: Identity;
  readonly peers: ReadonlyMap<NodeId, string>;
  readonly requireCertificates: boolean;
}

export interface InboundEvents {
  readonly log: Log;
  readonly onMessage: (from: NodeId, message: Message) => void;
  readonly onOpened: (peer: NodeId) => void;
  /** The peer no longer speaks here. */
  readonly onClosed: (peer: NodeId) => void;
}

type Call = grpc.ServerDuplexStream<PeerFrame, SentFrame>;

/** The streams on which the peers speak to this node: one per peer, the newest wins. */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #events: InboundEvents;
  readonly #calls = new Map<NodeId, Call>();
  readonly #complaints = new Set<string>();

  constructor(options: InboundOptions, events: InboundEvents) {
    this.#options = options;
    this.#events = events;
  }

  accept(call: Call): void {
    let from: NodeId | null = null;
    call.on("data", (frame: PeerFrame) => {
      if (from === null) from = this.#greet(call, frame);
      else if (this.#calls.get(from) === call) this.#receive(call, from, frame);
    });
    const forget = () => {
      if (from === null || this.#calls.get(from) !== call) return;
      this.#calls.delete(from);
      this.#events.onClosed(from);
    };
    call.on("cancelled", forget);
    call.on("error", forget);
    call.on("end", () => {
      forget();
      call.end();
    });
  }

  hears(peer: NodeId): boolean {
    return this.#calls.has(peer);
  }

  close(): void {
    for (const call of this.#calls.values()) call.end();
    this.#calls.clear();
  }

  #greet(call: Call, { hello }: PeerFrame): NodeId | null {
    const { identity, peers } = this.#options;
    if (hello?.clusterId === "" && hello.protocolVersion === PROTOCOL_VERSION && peers.has(hello.nodeId as NodeId)) {
      this.#tellCluster(call, hello.nodeId as NodeId);
      return null;
    }
    const why = whyUnfit(hello, identity, peers, null) ?? this.#whyForeign(call, hello!.nodeId as NodeId);
    if (why !== null) {
      this.#refuse(call, why);
      return null;
    }
    const peer = hello!.nodeId as NodeId;
    const before = this.#calls.get(peer);
    this.#calls.set(peer, call);
    before?.end();
    call.write({ hello: helloTo(peer, identity), messages: [] });
    this.#events.onOpened(peer);
    return peer;
  }

  /** A voter with an empty disk asks which cluster to join. It is told the name, and that is all of this stream. */
  #tellCluster(call: Call, peer: NodeId): void {
    const why = this.#whyForeign(call, peer);
    if (why !== null) return this.#refuse(call, why);
    this.#events.log.info("a voter with an empty data directory asks for the cluster's id", { peer });
    call.write({ hello: helloTo(peer, this.#options.identity), messages: [] });
    call.end();
  }

  #whyForeign(call: Call, peer: NodeId): string | null {
    if (!this.#options.requireCertificates) return null;
    const certificate = call.getAuthContext().sslPeerCertificate;
    return certificate === undefined ? "it shows no certificate" : whyForeignCertificate(certificate, peer);
  }

  #receive(call: Call, from: NodeId, frame: PeerFrame): void {
    for (const encoded of frame.messages) {
      const message = raftMessageFromProto(encoded, from, this.#options.identity.self);
      if (!message.ok) return this.#refuse(call, message.refusal.message);
      this.#events.onMessage(from, message.value);
    }
  }

  /** The caller tries again and again: it is told every time, the log once per cause. */
  #refuse(call: Call, why: string): void {
    call.emit("error", { code: grpc.status.FAILED_PRECONDITION, details: why });
    if (this.#complaints.has(why) || this.#complaints.size >= MAX_COMPLAINTS) return;
    this.#complaints.add(why);
    this.#events.log.warn("peer refused", { address: call.getPeer(), why });
  }
}

/** Texts contain what strangers send; there is an end to remembering them. */
const MAX_COMPLAINTS = 1_000;
