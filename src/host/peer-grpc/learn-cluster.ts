import grpc from "@grpc/grpc-js";
import { ClusterId, NO_INDEX, type NodeId } from "#kernel";
import type { Log, Timers } from "#ports";
import type { PeerFrame } from "#gen/ringraft/peer/v1/raft.js";
import { type DirectoryFault, isShutOut } from "#storage";
import { shutOut } from "../directory-refusals.ts";
import { faultOf, helloTo } from "./handshake.ts";
import type { TlsMaterial } from "./links.ts";
import { peerCredentials } from "./outbound.ts";
import { channelOptions, connectMethod } from "./wire.ts";

export interface LearnClusterOptions {
  readonly self: NodeId;
  readonly incarnation: number;
  readonly peers: ReadonlyMap<NodeId, string>;
  readonly tls: TlsMaterial | null;
}

/**
 * For a voter with an empty data directory: asks the other voters which cluster this is, until one of them knows, or `signal`
 * aborts (then null). A node never names a cluster by itself. Throws {@link StartError} (exit 78) when a majority of the
 * voters says that this node had a directory before.
 */
export async function learnCluster(
  options: LearnClusterOptions,
  ports: { readonly timers: Timers; readonly log: Log },
  signal: AbortSignal,
): Promise<ClusterId | null> {
  ports.log.info("data directory is empty: asking the other voters which cluster to join", {
    voters: [...options.peers.keys()].join(","),
  });
  while (!signal.aborted) {
    const answers = await Promise.all([...options.peers].map(([peer, address]) => ask(options, peer, address)));
    const refusals = answers.filter((answer) => typeof answer === "object" && answer !== null);
    const [refusal] = refusals;
    const voters = [...options.peers.keys(), options.self];
    if (refusal !== undefined && isShutOut(new Set(refusals.map(({ by }) => by)), voters)) {
      throw shutOut(
        refusals.map(({ by }) => by),
        refusal.fault,
        refusal.why,
      );
    }
    const known = new Set(answers.filter((answer) => typeof answer === "string"));
    if (known.size > 1) ports.log.error("the other voters belong to different clusters", { clusters: [...known].join(",") });
    const [only] = known;
    if (known.size === 1 && only !== undefined) return only;
    await new Promise<void>((resolve) => ports.timers.after(RETRY_MS, resolve));
  }
  return null;
}

interface Refusal {
  readonly by: NodeId;
  readonly fault: DirectoryFault;
  readonly why: string;
}

/** One handshake without a cluster id; the answering Hello carries it, and that is the end of the stream. */
function ask(options: LearnClusterOptions, peer: NodeId, address: string): Promise<ClusterId | Refusal | null> {
  const client = new grpc.Client(address, peerCredentials(options.tls, peer), channelOptions);
  const { path, requestSerialize, responseDeserialize } = connectMethod;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, { deadline: Date.now() + ANSWER_MS });
  const { promise, resolve } = Promise.withResolvers<ClusterId | Refusal | null>();
  stream.on("data", ({ hello }: PeerFrame) => {
    const isPeer = hello !== undefined && hello.nodeId === peer && hello.clusterId !== "";
    resolve(isPeer ? ClusterId(hello.clusterId) : null);
  });
  stream.on("error", (error: grpc.ServiceError) => {
    const fault = faultOf(error);
    resolve(fault === null ? null : { by: peer, fault, why: error.details });
  });
  stream.on("end", () => resolve(null));
  const nobody = { clusterId: ClusterId(""), directoryId: "", starts: 0, admission: () => NO_INDEX };
  stream.write({ hello: helloTo(peer, { ...options, ...nobody }), messages: [] });
  return promise.finally(() => {
    stream.cancel();
    client.close();
  });
}

const ANSWER_MS = 1_000;
const RETRY_MS = 250;
