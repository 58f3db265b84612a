import grpc from "@grpc/grpc-js";
import type { NodeId, Random } from "#kernel";
import type { Log, Timer, Timers } from "#ports";
import type { Message } from "#raft";
import type { SentFrame } from "#codec";
import type { Hello, PeerFrame } from "#gen/ringraft/peer/v1/raft.js";
import type { DirectoryFault, PeerDirectories } from "#storage";
import { type Identity, faultOf, helloTo, shownBy, whyForeignCertificate, whyUnfit } from "./handshake.ts";
import type { TlsMaterial } from "./links.ts";
import { MAX_FRAME_BYTES, channelOptions, connectMethod, messageBytes } from "./wire.ts";

export interface OutboundOptions {
  readonly identity: Identity;
  readonly peer: NodeId;
  readonly address: string;
  readonly peers: ReadonlyMap<NodeId, string>;
  readonly tls: TlsMaterial | null;
  readonly maxQueueBytes: number;
  readonly directories: Pick<PeerDirectories, "meet">;
}

export interface OutboundPorts {
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly onConnected: () => void;
  readonly onDisconnected: () => void;
  /** The peer refuses this node's own data directory; null: it has accepted it. */
  readonly onDirectory: (fault: DirectoryFault | null, why: string) => void;
}

type Stream = grpc.ClientDuplexStream<SentFrame, PeerFrame>;

/** closed ─start→ dialling ─Hello→ open ─lost→ waiting ─retry→ dialling; close leads back from everywhere. */
type State =
  | { readonly kind: "waiting"; readonly retry: Timer }
  | {
      readonly kind: "dialling";
      readonly client: grpc.Client;
      readonly stream: Stream;
      readonly address: string;
      readonly timeout: Timer;
    }
  | { readonly kind: "open"; readonly client: grpc.Client; readonly stream: Stream; readonly address: string }
  | { readonly kind: "closed" };

/** The stream on which this node speaks to one peer. Lossy by design: what does not fit or has no stream is dropped whole. */
export class Outbound {
  readonly #options: OutboundOptions;
  readonly #ports: OutboundPorts;
  #state: State = { kind: "closed" };
  #failures = 0;
  #announced: string | null = null;
  #lastComplaint = "";
  #queue: Message[] = [];
  #queuedBytes = 0;
  #flushScheduled = false;

  constructor(options: OutboundOptions, ports: OutboundPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  get isOpen(): boolean {
    return this.#state.kind === "open";
  }

  /** Where the peer answers at the moment, which may be another place than the configured one; null while it does not. */
  get openAt(): string | null {
    return this.#state.kind === "open" ? this.#state.address : null;
  }

  /** Dials until {@link close}; no effect on a link that does so already. */
  start(): void {
    if (this.#state.kind === "closed") this.#dial();
  }

  /** The peer has just shown that it is up: do not wait for the back-off to end. */
  hurry(): void {
    if (this.#state.kind !== "waiting") return;
    this.#state.retry.cancel();
    this.#dial();
  }

  /**
   * The peer has called and named another place than the configured one: it has moved, or is known there under another
   * address. The configured one keeps the first try; only where it fails is the other one worth the next.
   */
  alsoAt(address: string): void {
    if (ADDRESS.test(address)) this.#announced = address;
  }

  get #address(): string {
    const { address } = this.#options;
    return this.#failures % 2 === 1 ? (this.#announced ?? address) : address;
  }

  send(message: Message): void {
    if (this.#state.kind !== "open") return;
    const bytes = messageBytes(message);
    if (this.#queuedBytes + bytes > this.#options.maxQueueBytes && this.#queue.length > 0) return; // Raft repeats
    this.#queue.push(message);
    this.#queuedBytes += bytes;
    if (this.#flushScheduled) return;
    // All that one turn of the engine sends is one frame: the engine works synchronously, so its end is the next microtask.
    this.#flushScheduled = true;
    queueMicrotask(() => this.#flush());
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    this.#dropQueue();
    if (state.kind === "waiting") state.retry.cancel();
    if (state.kind === "dialling") state.timeout.cancel();
    if (state.kind === "dialling" || state.kind === "open") hangUp(state);
  }

  #dial(): void {
    const { identity, peer, tls } = this.#options;
    const address = this.#address;
    const client = new grpc.Client(address, peerCredentials(tls, peer), channelOptions);
    const { path, requestSerialize, responseDeserialize } = connectMethod;
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const timeout = this.#ports.timers.after(HANDSHAKE_TIMEOUT_MS, () => this.#lost(stream, "no answer to the handshake"));
    this.#state = { kind: "dialling", client, stream, address, timeout };
    stream.once("data", (frame: PeerFrame) => void this.#onFrame(stream, frame));
    stream.on("drain", () => this.#flush());
    stream.on("error", (error: grpc.ServiceError) => {
      const fault = faultOf(error);
      if (fault !== null) this.#ports.onDirectory(fault, error.details);
      this.#lost(stream, error.details || error.message);
    });
    stream.on("end", () => this.#lost(stream, "the peer ended the stream"));
    stream.write({ hello: helloTo(peer, identity), messages: [] });
  }

  /** dialling → open. The answering Hello is all that the peer says on this stream. */
  async #onFrame(stream: Stream, { hello }: PeerFrame): Promise<void> {
    const { identity, peer, peers } = this.#options;
    const why = whyUnfit(hello, identity, peers, peer) ?? (await this.#whyUnwelcome(hello!));
    if (this.#state.kind !== "dialling" || this.#state.stream !== stream) return;
    if (why !== null) return this.#lost(stream, why);
    this.#ports.onDirectory(null, "");
    const { client, address, timeout } = this.#state;
    timeout.cancel();
    this.#state = { kind: "open", client, stream, address };
    this.#failures = 0;
    this.#lastComplaint = "";
    this.#ports.onConnected();
  }

  async #whyUnwelcome(hello: Hello): Promise<string | null> {
    const { peer, directories } = this.#options;
    try {
      const verdict = await directories.meet(peer, shownBy(hello));
      return verdict.kind === "welcome" ? null : verdict.why;
    } catch (error) {
      return `${peer} cannot be remembered: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** dialling, open → waiting. */
  #lost(stream: Stream, why: string): void {
    const state = this.#state;
    if ((state.kind !== "open" && state.kind !== "dialling") || state.stream !== stream) return;
    if (state.kind === "dialling") state.timeout.cancel();
    hangUp(state);
    this.#dropQueue();
    const delayMs = backoffMs(this.#failures, this.#ports.random);
    this.#failures += 1;
    this.#state = { kind: "waiting", retry: this.#ports.timers.after(delayMs, () => this.#dial()) };
    this.#complain(why);
    if (state.kind === "open") this.#ports.onDisconnected();
  }

  /** Once per cause, not once per attempt. */
  #complain(why: string): void {
    if (why === this.#lastComplaint) return;
    this.#lastComplaint = why;
    this.#ports.log.warn("no link to peer", { peer: this.#options.peer, address: this.#options.address, why });
  }

  /** Stops while the stream is full, and goes on when it has drained: until then the queue is what bounds a slow peer. */
  #flush(): void {
    this.#flushScheduled = false;
    while (this.#state.kind === "open" && this.#queue.length > 0 && !this.#state.stream.writableNeedDrain) {
      this.#state.stream.write({ messages: this.#takeFrame() });
    }
  }

  #takeFrame(): readonly Message[] {
    const queue = this.#queue;
    if (this.#queuedBytes <= MAX_FRAME_BYTES) {
      this.#dropQueue();
      return queue;
    }
    let bytes = messageBytes(queue[0]!);
    let count = 1;
    while (count < queue.length && bytes + messageBytes(queue[count]!) <= MAX_FRAME_BYTES) bytes += messageBytes(queue[count++]!);
    this.#queuedBytes -= bytes;
    this.#queue = queue.slice(count);
    return queue.slice(0, count);
  }

  #dropQueue(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
  }
}

/** The address is not the name: the certificate must name the node, wherever it is dialled. */
export function peerCredentials(tls: TlsMaterial | null, peer: NodeId): grpc.ChannelCredentials {
  if (tls === null) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(tls.ca, tls.key, tls.cert, {
    checkServerIdentity: (_host, certificate) => {
      const why = whyForeignCertificate(certificate, peer);
      return why === null ? undefined : new Error(why);
    },
  });
}

function hangUp({ client, stream }: { readonly client: grpc.Client; readonly stream: Stream }): void {
  stream.cancel();
  client.close();
}

/** 50 ms … 2 s, half of it random, so that peers do not come back in step. */
function backoffMs(failures: number, random: Random): number {
  const full = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** failures);
  return (full * (1 + random())) / 2;
}

const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;
const ADDRESS = /^[^\s/]{1,255}:\d{1,5}$/;
const HANDSHAKE_TIMEOUT_MS = 5_000;
