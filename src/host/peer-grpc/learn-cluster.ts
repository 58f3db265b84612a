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

export interface LearnedCluster {
  readonly clusterId: ClusterId;
  /** Somebody may have heard a promise of a former directory of this node: the cluster has more than its founding entries. */
  readonly isLatecomer: boolean;
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
): Promise<LearnedCluster | null> {
  ports.log.info("data directory is empty: asking the other voters which cluster to join", {
    voters: [...options.peers.keys()].join(","),
  });
  while (!signal.aborted) {
    const answers = await Promise.all([...options.peers].map(([peer, address]) => ask(options, peer, address)));
    const refusals = answers.filter((answer) => answer !== null && "by" in answer);
    const [refusal] = refusals;
    const voters = [...options.peers.keys(), options.self];
    if (refusal !== undefined && isShutOut(new Set(refusals.map(({ by }) => by)), voters)) {
      throw shutOut(
        refusals.map(({ by }) => by),
        refusal.fault,
        refusal.why,
      );
    }
    const told = answers.filter((answer) => answer !== null && "lastIndex" in answer);
    const known = new Set(told.map(({ clusterId }) => clusterId));
    if (known.size > 1) ports.log.error("the other voters belong to different clusters", { clusters: [...known].join(",") });
    const [only] = known;
    // Those without a log know nothing of it: somebody must have the founding entries, and nobody more.
    const isLatecomer = Math.max(...told.map(({ lastIndex }) => lastIndex)) !== FOUNDING_ENTRIES;
    if (known.size === 1 && only !== undefined) return { clusterId: only, isLatecomer };
    await new Promise<void>((resolve) => ports.timers.after(RETRY_MS, resolve));
  }
  return null;
}

interface Refusal {
  readonly by: NodeId;
  readonly fault: DirectoryFault;
  readonly why: string;
}

interface Told {
  readonly clusterId: ClusterId;
  readonly lastIndex: number;
}

/** One handshake without a cluster id; the answering Hello carries it, and that is the end of the stream. */
function ask(options: LearnClusterOptions, peer: NodeId, address: string): Promise<Told | Refusal | null> {
  const client = new grpc.Client(address, peerCredentials(options.tls, peer), channelOptions);
  const { path, requestSerialize, responseDeserialize } = connectMethod;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, { deadline: Date.now() + ANSWER_MS });
  const { promise, resolve } = Promise.withResolvers<Told | Refusal | null>();
  stream.on("data", ({ hello }: PeerFrame) => {
    const isPeer = hello !== undefined && hello.nodeId === peer && hello.clusterId !== "";
    resolve(isPeer ? { clusterId: ClusterId(hello.clusterId), lastIndex: hello.lastIndex } : null);
  });
  stream.on("error", (error: grpc.ServiceError) => {
    const fault = faultOf(error);
    resolve(fault === null ? null : { by: peer, fault, why: error.details });
  });
  stream.on("end", () => resolve(null));
  const nobody = { clusterId: ClusterId(""), directoryId: "", starts: 0, admission: () => NO_INDEX, lastIndex: () => NO_INDEX };
  stream.write({ hello: helloTo(peer, { ...options, ...nobody }), messages: [] });
  return promise.finally(() => {
    stream.cancel();
    client.close();
  });
}

/** What `cluster init` writes. */
export const FOUNDING_ENTRIES = 2;
const ANSWER_MS = 1_000;
const RETRY_MS = 250;
