import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { type ServerDuplexStream, Server, ServerCredentials } from "@grpc/grpc-js";
import { decodeCommand, decodeMessage, encodeMessage, refusalToProto } from "#codec";
import { type Reason, refusal } from "#kernel";
import type { Operation } from "#statemachine";
import { ClientFrame, type Request, type Response, ServerFrame } from "#gen/ringraft/v1/stream.js";

/** One request as the server got it. */
export interface Seen {
  readonly id: number;
  readonly timeoutMs: number;
  readonly body: Request["body"];
  /** Of commands only. */
  readonly bytes: Uint8Array | null;
  readonly sequence: number | null;
  readonly firstUnacked: number;
  readonly operation: Operation | null;
  readonly waitMs: number;
  answer(body: Response["body"], revision?: number): void;
  refuse(reason: Reason, more?: { readonly leaderAddress?: string; readonly retryAfterMs?: number }): void;
  /** Cuts the connection without an answer. */
  drop(): void;
}

export type Script = (request: Seen) => void;

/** A StreamService on a loopback port whose answers a test writes. Introductions are answered by `role` and `leader`. */
export class FakeServer {
  readonly #server = new Server();
  /** Stands before the gRPC server, so that a connection can be cut the way a dead node cuts it. */
  readonly #front = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  #backPort = 0;
  script: Script;
  role = "leader";
  /** Client address of the leader that `members` names; "" = itself while its role is leader. */
  leader = "";
  clusterId = "c1";
  port = 0;
  /** Everything but introductions, in the order of arrival. */
  readonly seen: Seen[] = [];
  readonly frames: number[] = [];
  connections = 0;

  constructor(script: Script) {
    this.script = script;
    const identity = (bytes: Buffer): Buffer => bytes;
    this.#server.addService(
      {
        connect: {
          path: "/ringraft.v1.StreamService/Connect",
          requestStream: true,
          responseStream: true,
          requestSerialize: identity,
          requestDeserialize: identity,
          responseSerialize: identity,
          responseDeserialize: identity,
        },
      },
      { connect: (stream: ServerDuplexStream<Buffer, Buffer>) => this.#connected(stream) },
    );
  }

  async listen(): Promise<this> {
    this.#backPort = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    this.#front.listen(0, "127.0.0.1");
    await once(this.#front, "listening");
    this.port = (this.#front.address() as AddressInfo).port;
    return this;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get commands(): readonly Seen[] {
    return this.seen.filter((request) => request.operation !== null);
  }

  /** Cuts every connection without a word; the port stays open. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#front.close();
    this.cut();
    this.#server.forceShutdown();
  }

  #accept(socket: Socket): void {
    const back = connect(this.#backPort, "127.0.0.1");
    for (const [from, to] of [
      [socket, back],
      [back, socket],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }

  #connected(stream: ServerDuplexStream<Buffer, Buffer>): void {
    this.connections++;
    stream.on("error", () => {});
    stream.on("end", () => stream.end());
    stream.on("data", (bytes: Buffer) => {
      const { requests } = decodeMessage(ClientFrame, bytes);
      this.frames.push(requests.length);
      for (const request of requests) this.#receive(stream, request);
    });
  }

  #receive(stream: ServerDuplexStream<Buffer, Buffer>, request: Request): void {
    const send = (body: Response["body"], revision = 1): void => {
      if (!stream.destroyed)
        stream.write(Buffer.from(encodeMessage(ServerFrame, { responses: [{ id: request.id, revision, body }] })));
    };
    const introduction = this.#introduction(request);
    if (introduction !== null) {
      send(introduction);
      return;
    }
    const bytes = request.body.oneofKind === "command" ? request.body.command.slice() : null;
    const decoded = bytes === null ? null : decodeCommand(bytes);
    if (decoded !== null && !decoded.ok) throw new Error(decoded.refusal.message);
    const seen: Seen = {
      id: request.id,
      timeoutMs: request.timeoutMs,
      body: request.body,
      bytes,
      sequence: decoded?.value.command.sequence ?? null,
      firstUnacked: decoded?.value.command.firstUnackedSequence ?? 0,
      operation: decoded?.value.command.operation ?? null,
      waitMs: decoded?.value.waitMs ?? 0,
      answer: send,
      refuse: (reason, more = {}) =>
        send({
          oneofKind: "refusal",
          refusal: refusalToProto(
            refusal(reason, "says the script", more.retryAfterMs === undefined ? {} : { retryAfterMs: more.retryAfterMs }),
            more.leaderAddress,
          ),
        }),
      drop: () => this.cut(),
    };
    this.seen.push(seen);
    this.script(seen);
  }

  #introduction(request: Request): Response["body"] | null {
    const leads = this.role === "leader";
    const header = {
      clusterId: this.clusterId,
      memberId: "n1",
      leaderId: leads ? "n1" : "",
      term: 1,
      revision: 1,
      clusterTimeMs: 0,
    };
    switch (request.body.oneofKind) {
      case "status":
        return {
          oneofKind: "status",
          status: { header, role: this.role, commitIndex: 1, appliedIndex: 1, electionCount: 1 },
        };
      case "members": {
        const rest = { voter: true, peerAddress: "", outgoing: false, learner: false, promoting: false, progress: "" };
        const members = [{ ...rest, nodeId: "n1", clientAddress: this.address, leader: leads }];
        if (this.leader !== "") members.push({ ...rest, nodeId: "n2", clientAddress: this.leader, leader: true });
        return { oneofKind: "members", members: { members, configurationIndex: 1, configurationCommitted: true } };
      }
      default:
        return null;
    }
  }
}
