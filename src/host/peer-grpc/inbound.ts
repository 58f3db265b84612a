import type grpc from "@grpc/grpc-js";
import type { LogIndex, NodeId } from "#kernel";
import type { Log } from "#ports";
import type { Message } from "#raft";
import { type SentFrame, raftMessageFromProto } from "#codec";
import type { Hello, PeerFrame } from "#gen/ringraft/peer/v1/raft.js";
import type { DirectoryFault, PeerDirectories } from "#storage";
import { type Identity, PROTOCOL_VERSION, helloTo, refusalOf, shownBy, whyForeignCertificate, whyUnfit } from "./handshake.ts";

export interface InboundOptions {
  readonly identity: Identity;
  readonly peers: ReadonlyMap<NodeId, string>;
  readonly requireCertificates: boolean;
  readonly directories: Pick<PeerDirectories, "admits" | "judge" | "meet">;
}

export interface InboundEvents {
  readonly log: Log;
  readonly onMessage: (from: NodeId, message: Message) => void;
  /** `address`: where the peer says it can be dialled; may be empty. */
  readonly onOpened: (peer: NodeId, address: string) => void;
  /** The peer no longer speaks here. */
  readonly onClosed: (peer: NodeId) => void;
}

/** Of whom a stream is, and the membership in which it was introduced; null for who is no member. */
interface Guest {
  readonly call: Call;
  readonly peer: NodeId;
  readonly admission: LogIndex | null;
}

type Call = grpc.ServerDuplexStream<PeerFrame, SentFrame>;

/** The streams on which the peers speak to this node: one per peer, the newest wins. */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #events: InboundEvents;
  readonly #guests = new Map<NodeId, Guest>();
  readonly #complaints = new Set<string>();

  constructor(options: InboundOptions, events: InboundEvents) {
    this.#options = options;
    this.#events = events;
  }

  accept(call: Call): void {
    let guest: Guest | null = null;
    let isGreeted = false;
    call.on("data", (frame: PeerFrame) => {
      if (guest !== null) {
        if (this.#guests.get(guest.peer) === guest) this.#receive(guest, frame);
      } else if (!isGreeted) {
        // Whoever speaks on before the answer is not listened to.
        isGreeted = true;
        void this.#greet(call, frame).then((greeted) => (guest = greeted));
      }
    });
    const forget = () => {
      if (guest !== null) this.#forget(guest);
    };
    call.on("cancelled", forget);
    call.on("error", forget);
    call.on("end", () => {
      forget();
      call.end();
    });
  }

  hears(peer: NodeId): boolean {
    return this.#guests.has(peer);
  }

  /**
   * Who was added since it connected introduces itself anew. Not only when it speaks: a follower has nothing to say to another,
   * and would be met only after it was wiped.
   */
  reconsider(): void {
    for (const guest of this.#guests.values()) if (!this.#admits(guest)) this.#askAnew(guest);
  }

  close(): void {
    for (const { call } of this.#guests.values()) call.end();
    this.#guests.clear();
  }

  /** Whom the stream is of, once its data directory is accepted and remembered; null when it is refused. */
  async #greet(call: Call, { hello }: PeerFrame): Promise<Guest | null> {
    const { identity, peers } = this.#options;
    if (hello?.clusterId === "" && hello.protocolVersion === PROTOCOL_VERSION && peers.has(hello.nodeId as NodeId)) {
      this.#tellCluster(call, hello.nodeId as NodeId, hello);
      return null;
    }
    const why = whyUnfit(hello, identity, peers, null) ?? this.#whyForeign(call, hello!.nodeId as NodeId);
    if (why !== null) {
      this.#refuse(call, why);
      return null;
    }
    const peer = hello!.nodeId as NodeId;
    const guest = await this.#meet(call, peer, hello!);
    if (guest === null || call.cancelled) return null;
    // Added while its directory was written down.
    if (!this.#admits(guest)) {
      call.end();
      return null;
    }
    const before = this.#guests.get(peer);
    this.#guests.set(peer, guest);
    before?.call.end();
    call.write({ hello: helloTo(peer, identity), messages: [] });
    this.#events.onOpened(peer, hello!.peerAddress);
    return guest;
  }

  #forget(guest: Guest): void {
    if (this.#guests.get(guest.peer) !== guest) return;
    this.#guests.delete(guest.peer);
    this.#events.onClosed(guest.peer);
  }

  #admits({ peer, admission }: Guest): boolean {
    return this.#options.directories.admits(peer, admission);
  }

  #askAnew(guest: Guest): void {
    this.#events.log.info("a peer was added since it connected: it has to introduce itself anew", { peer: guest.peer });
    this.#forget(guest);
    guest.call.end();
  }

  async #meet(call: Call, peer: NodeId, hello: Hello): Promise<Guest | null> {
    try {
      const verdict = await this.#options.directories.meet(peer, shownBy(hello));
      if (verdict.kind === "welcome") return { call, peer, admission: verdict.admission };
      this.#refuse(call, verdict.why, verdict.fault);
    } catch (error) {
      this.#refuse(call, `${peer} cannot be remembered: ${error instanceof Error ? error.message : String(error)}`);
    }
    return null;
  }

  /** A voter with an empty disk asks which cluster to join. It is told the name, and that is all of this stream. */
  #tellCluster(call: Call, peer: NodeId, hello: Hello): void {
    const why = this.#whyForeign(call, peer);
    if (why !== null) return this.#refuse(call, why);
    const verdict = this.#options.directories.judge(peer, shownBy(hello));
    if (verdict.kind === "refused") return this.#refuse(call, verdict.why, verdict.fault);
    this.#events.log.info("a voter with an empty data directory asks for the cluster's id", { peer });
    call.write({ hello: helloTo(peer, this.#options.identity), messages: [] });
    call.end();
  }

  #whyForeign(call: Call, peer: NodeId): string | null {
    if (!this.#options.requireCertificates) return null;
    const certificate = call.getAuthContext().sslPeerCertificate;
    return certificate === undefined ? "it shows no certificate" : whyForeignCertificate(certificate, peer);
  }

  #receive(guest: Guest, frame: PeerFrame): void {
    if (!this.#admits(guest)) return this.#askAnew(guest);
    const { call, peer: from } = guest;
    for (const encoded of frame.messages) {
      const message = raftMessageFromProto(encoded, from, this.#options.identity.self);
      if (!message.ok) return this.#refuse(call, message.refusal.message);
      this.#events.onMessage(from, message.value);
    }
  }

  /** The caller tries again and again: it is told every time, the log once per cause. */
  #refuse(call: Call, why: string, fault: DirectoryFault | null = null): void {
    call.emit("error", refusalOf(why, fault));
    if (this.#complaints.has(why) || this.#complaints.size >= MAX_COMPLAINTS) return;
    this.#complaints.add(why);
    const fields = { address: call.getPeer(), why };
    if (fault === null) this.#events.log.warn("peer refused", fields);
    else this.#events.log.error("peer refused: its data directory is not the one it had", { ...fields, fault });
  }
}

/** Texts contain what strangers send; there is an end to remembering them. */
const MAX_COMPLAINTS = 1_000;
