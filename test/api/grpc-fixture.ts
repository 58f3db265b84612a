import type { TestContext } from "node:test";
import { type ClientDuplexStream, Client, type Metadata, type ServiceError, credentials } from "@grpc/grpc-js";
import type { IMessageType } from "@protobuf-ts/runtime";
import { ClusterId, type ClusterTimeMs, type LogIndex, NodeId, type Term } from "#kernel";
import type { Log, Timers } from "#ports";
import { type GrpcLimits, type MemberInfo, type ServerTls, createGrpcApi, createGrpcServer, defaultGrpcLimits } from "#api";
import { decodeMessage, encodeMessage } from "#codec";
import { ClientFrame, type Request, type Response, ServerFrame } from "#gen/ringraft/v1/stream.js";
import { FakeReplica } from "./fake-replica.ts";

/** The client port over a fake replica, on a loopback socket that ends with the test. */
export async function startDoors(
  t: TestContext,
  limits: Partial<GrpcLimits> = {},
  tls: ServerTls | null = null,
  role = "follower",
) {
  const replica = new FakeReplica();
  const all = { ...defaultGrpcLimits, ...limits };
  const api = createGrpcApi(
    { clusterId: ClusterId("c1"), memberId: NodeId("n1"), limits: all },
    {
      replica,
      members: () => ({
        members: [member("n1", false), member("n2", true)],
        configurationIndex: 7 as LogIndex,
        configurationCommitted: true,
      }),
      knows: (nodeId) => nodeId.startsWith("n"),
      readSnapshot: (index, offset) =>
        index === 41
          ? Promise.resolve({ bytes: snapshotFile.subarray(offset, offset + 4), totalBytes: 10 })
          : Promise.reject(new Error("gone")),
      statusOf: () => ({
        role,
        term: 3 as Term,
        leaderId: NodeId("n2"),
        commitIndex: 42 as LogIndex,
        appliedIndex: 41 as LogIndex,
        electionCount: 1,
        clusterTimeMs: 1_000 as ClusterTimeMs,
      }),
      timers,
      log: silent,
    },
  );
  const grpcServer = createGrpcServer({ tls, limits: all });
  api.register(grpcServer.server);
  api.setServing(true);
  const port = await grpcServer.listen("127.0.0.1", 0);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  t.after(async () => {
    client.close();
    api.close();
    await grpcServer.close(100);
  });
  return { replica, api, client, port };
}

export interface StreamClient {
  send(
    ...requests: { readonly id: number; readonly timeoutMs?: number; readonly brief?: boolean; readonly body: Request["body"] }[]
  ): void;
  sendRaw(bytes: Uint8Array): void;
  /** The next responses, over as many frames as they take. */
  next(count: number): Promise<readonly Response[]>;
  /** Sizes of the frames received so far, in responses. */
  readonly frames: readonly number[];
  readonly call: ClientDuplexStream<Uint8Array, ServerFrame>;
}

export function openStream(client: Client): StreamClient {
  const call = client.makeBidiStreamRequest<Uint8Array, ServerFrame>(
    "/ringraft.v1.StreamService/Connect",
    (bytes) => Buffer.from(bytes),
    (bytes) => decodeMessage(ServerFrame, bytes),
  );
  const received: Response[] = [];
  const frames: number[] = [];
  let arrived: (() => void) | null = null;
  call.on("data", (frame: ServerFrame) => {
    frames.push(frame.responses.length);
    received.push(...frame.responses);
    arrived?.();
  });
  call.on("error", () => arrived?.());
  return {
    frames,
    call,
    send: (...requests) => {
      const full = requests.map((request) => ({ timeoutMs: 0, brief: false, ...request }));
      call.write(encodeMessage(ClientFrame, { requests: full }));
    },
    sendRaw: (bytes) => call.write(bytes),
    async next(count) {
      while (received.length < count) {
        const { promise, resolve } = Promise.withResolvers<void>();
        arrived = resolve;
        await promise;
      }
      return received.splice(0, count);
    },
  };
}

/** One unary call; resolves with the answer or with the error that gRPC reports. */
export function unary<I extends object, O extends object>(
  client: Client,
  path: string,
  types: { readonly request: IMessageType<I>; readonly response: IMessageType<O> },
  message: I,
  options: { readonly metadata?: Metadata; readonly deadline?: number } = {},
): Promise<{ readonly error: ServiceError | null; readonly value: O | null }> {
  const { promise, resolve } = Promise.withResolvers<{ readonly error: ServiceError | null; readonly value: O | null }>();
  const serialize = (value: I): Buffer => Buffer.from(encodeMessage(types.request, value));
  const deserialize = (bytes: Buffer): O => decodeMessage(types.response, bytes);
  const callOptions = options.deadline === undefined ? {} : { deadline: options.deadline };
  const done = (error: ServiceError | null, value?: O): void => resolve({ error, value: value ?? null });
  if (options.metadata === undefined) client.makeUnaryRequest(path, serialize, deserialize, message, callOptions, done);
  else client.makeUnaryRequest(path, serialize, deserialize, message, options.metadata, callOptions, done);
  return promise;
}

/** What the fixture's node calls its snapshot at index 41. */
const snapshotFile = Buffer.from("0123456789");

function member(name: string, leader: boolean): MemberInfo {
  const port = name.slice(1);
  return {
    nodeId: NodeId(name),
    clientAddress: `127.0.0.1:${port}`,
    peerAddress: `127.0.0.1:1${port}`,
    voter: true,
    outgoing: false,
    learner: false,
    promoting: false,
    leader,
    progress: null,
  };
}

const timers: Timers = {
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every: () => ({ cancel: () => {} }),
  soon: (run) => void setImmediate(run),
};

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };
