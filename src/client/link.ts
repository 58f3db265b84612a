import { type ChannelCredentials, Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { decodeServerFrame } from "#codec";
import type { Response, ServerFrame } from "#gen/ringraft/v1/stream.js";
import type { Call } from "./call.ts";
import { clientError } from "./client-error.ts";
import { FrameWriter } from "./frame.ts";
import type { ClientOptions } from "./types.ts";

/** What the node at the other end says about itself and the leader. */
export interface Introduction {
  readonly clusterId: string;
  readonly role: string;
  /** Client address of the leader, "" when the node knows none. */
  readonly leaderAddress: string;
  readonly memberAddresses: readonly string[];
}

export interface LinkEvents {
  introduced(link: Link, introduction: Introduction): void;
  answered(link: Link, call: Call, response: Response): void;
  /** Once, whatever the reason. The calls that were sent and not answered are still in `calls`. */
  down(link: Link, cause: Error): void;
}

/**
 * One stream to one node. It introduces itself before it is used: `status` and `members` go out with the first frame, so
 * that a node that does not lead costs one round trip and no refused writes.
 */
export class Link {
  readonly endpoint: string;
  /** Sent and not answered, by id. */
  readonly calls = new Map<number, Call>();
  /** `asking` until the node has introduced itself. */
  state: "asking" | "leader" | "follower" | "down" = "asking";
  /** Since its introduction as the leader it has answered something. One that only says so proves nothing. */
  hasLed = false;
  readonly #channel: Client;
  readonly #stream: ClientDuplexStream<Buffer, ServerFrame>;
  readonly #events: LinkEvents;
  readonly #frame = new FrameWriter();
  #introductionTimer: ReturnType<typeof setTimeout> | undefined;
  #nextId = FIRST_CALL_ID;
  #status: Response["body"] | null = null;
  #members: Response["body"] | null = null;

  constructor(endpoint: string, channelCredentials: ChannelCredentials, serverName: string | null, events: LinkEvents) {
    this.endpoint = endpoint;
    this.#events = events;
    this.#channel = new Client(endpoint, channelCredentials, {
      ...CHANNEL_OPTIONS,
      ...(serverName === null ? {} : { "grpc.ssl_target_name_override": serverName }),
    });
    this.#stream = this.#channel.makeBidiStreamRequest(METHOD, identity, decodeServerFrame);
    this.#stream.on("data", (frame: ServerFrame) => this.#receive(frame));
    this.#stream.on("error", (error) => this.#fall(error));
    this.#stream.on("end", () => this.#fall(new Error(`${endpoint} closed the stream`)));
    this.ask();
  }

  /** Asks the node (again) who leads. Until it answers, nothing else is sent here. */
  ask(): void {
    if (this.state === "down") return;
    this.state = "asking";
    this.#introductionTimer = setTimeout(
      () => this.#fall(new Error(`${this.endpoint} did not answer within ${INTRODUCTION_TIMEOUT_MS} ms`)),
      INTRODUCTION_TIMEOUT_MS,
    );
    this.#frame.addBody(STATUS_ID, 0, { oneofKind: "status", status: {} });
    this.#frame.addBody(MEMBERS_ID, 0, { oneofKind: "members", members: { read: { mode: "stale", minRevision: 0 } } });
    this.flush();
  }

  /** Puts a call into the frame that the next `flush` sends. */
  add(call: Call, nowMs: number): void {
    call.id = this.#takeId();
    this.calls.set(call.id, call);
    this.#frame.add(call, nowMs);
    if (this.#frame.full) this.flush();
  }

  flush(): void {
    if (this.#frame.empty || this.state === "down") return;
    this.#stream.write(this.#frame.take());
  }

  /** The caller gave up: the server stops waiting, and whatever it still answers is dropped. */
  forget(call: Call): void {
    if (!this.calls.delete(call.id) || this.state === "down") return;
    this.#frame.addBody(this.#takeId(), 0, { oneofKind: "cancelId", cancelId: call.id });
    this.flush();
  }

  /** Ends the stream; `down` follows at once. */
  close(cause: Error): void {
    this.#fall(cause);
  }

  #receive(frame: ServerFrame): void {
    for (const response of frame.responses) {
      if (this.state === "down") return;
      if (response.id < FIRST_CALL_ID) this.#introduce(response);
      else this.#answer(response);
    }
  }

  #answer(response: Response): void {
    const call = this.calls.get(response.id);
    if (call === undefined) return;
    if (response.body.oneofKind === "watchBatch" && call.onBatch !== null) {
      if (this.state === "leader") this.hasLed = true;
      call.onBatch(response);
      return;
    }
    this.calls.delete(response.id);
    if (this.state === "leader" && response.body.oneofKind !== "refusal") this.hasLed = true;
    this.#events.answered(this, call, response);
  }

  /** Both halves make an introduction: status says what the node is, members says where the leader is. */
  #introduce(response: Response): void {
    if (response.id === STATUS_ID) this.#status = response.body;
    else this.#members = response.body;
    const [status, members] = [this.#status, this.#members];
    if (status === null || members === null) return;
    this.#status = this.#members = null;
    if (status.oneofKind !== "status") {
      this.#fall(new Error(`${this.endpoint} refused to introduce itself`));
      return;
    }
    clearTimeout(this.#introductionTimer);
    const list = members.oneofKind === "members" ? members.members.members : [];
    this.#events.introduced(this, {
      clusterId: status.status.header?.clusterId ?? "",
      role: status.status.role,
      leaderAddress: list.find((member) => member.leader)?.clientAddress ?? "",
      memberAddresses: list.map((member) => member.clientAddress),
    });
  }

  #takeId(): number {
    do this.#nextId = this.#nextId === MAX_ID ? FIRST_CALL_ID : this.#nextId + 1;
    while (this.calls.has(this.#nextId));
    return this.#nextId;
  }

  #fall(cause: Error): void {
    if (this.state === "down") return;
    this.state = "down";
    clearTimeout(this.#introductionTimer);
    this.#stream.cancel();
    this.#channel.close();
    this.#events.down(this, cause);
  }
}

/** `tls` holds PEM text. Without it the connection is plain, which servers accept on loopback only. */
export function channelCredentials(tls: ClientOptions["tls"]): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  for (const [name, text] of Object.entries(tls)) {
    if (name !== "serverName" && !text.includes("-----BEGIN")) {
      throw clientError("INVALID_ARGUMENT", `tls.${name} must be PEM text, not the name of a file`);
    }
  }
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

const METHOD = "/ringraft.v1.StreamService/Connect";
const STATUS_ID = 1;
const MEMBERS_ID = 2;
const FIRST_CALL_ID = 3;
const MAX_ID = 0xffff_ffff;
/** A node that accepts the connection and says nothing is left for another one. */
const INTRODUCTION_TIMEOUT_MS = 2_000;

/** This client keeps its own back-off; gRPC's would add to it. A dead peer that sends no FIN shows within 8 seconds. */
const CHANNEL_OPTIONS = {
  "grpc.use_local_subchannel_pool": 1,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.min_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.max_receive_message_length": 16_777_216,
  "grpc.max_send_message_length": 16_777_216,
  "grpc.keepalive_time_ms": 5_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.keepalive_permit_without_calls": 1,
} as const;

const identity = (frame: Buffer): Buffer => frame;
