import type { ClusterId, NodeId } from "#kernel";
import type { AllowListOptions, HttpPollOptions, SwimOptions } from "#membership/core";

/** A node's whole configuration: validated, complete, frozen. No room sees `undefined`. One YAML file describes every node of a cluster. */
export interface NodeConfig {
  /** Where the file was, for messages. */
  readonly file: string;
  readonly nodeId: NodeId;
  /** The only cluster this node may belong to; null = whichever its data directory names. */
  readonly clusterId: ClusterId | null;
  /** A voter is whoever the voters' list names; everything else under `hosts` is a worker. */
  readonly role: "voter" | "worker";
  readonly dataDirectory: string;
  readonly hosts: ReadonlyMap<NodeId, HostConfig>;
  /** In priority order, as the runbook lists them. */
  readonly voters: readonly NodeId[];
  /** `host` is bound by the peer and client listeners, `httpHost` by the status port. */
  readonly listen: {
    readonly host: string;
    readonly httpHost: string;
    readonly http: number;
    readonly peer: number;
    readonly client: number;
  };
  readonly tls: { readonly peer: TlsFiles | null; readonly client: TlsFiles | null };
  /** The peer and client listeners may be reached from other machines without TLS. */
  readonly insecure: boolean;
  /** Membership `none`: the file says nothing about it, so no detector runs. */
  readonly modes: { readonly membership: "none" | "http" | "swim" | "hybrid"; readonly consensus: "raft" };
  readonly membership: MembershipConfig;
  readonly timing: Timing;
  readonly raft: {
    readonly maxMessageBytes: number;
    readonly maxInflightBytes: number;
    readonly maxUncommittedBytes: number;
    readonly snapshotEveryEntries: number;
    readonly keepEntries: number;
    readonly segmentBytes: number;
    /** With less of the disk free, a leader takes no command. */
    readonly minFreeBytes: number;
    /** Null: linearizable reads are confirmed by a majority each time. */
    readonly leaseReads: { readonly leaseMs: number } | null;
  };
  readonly election: {
    /** Higher leads rather: the order of the voters' list. */
    readonly priorities: ReadonlyMap<NodeId, number>;
    /** The lead goes to a voter of higher priority once that is steady. */
    readonly preempt: boolean;
  };
  readonly sessions: { readonly defaultTtlMs: number; readonly electionGraceMs: number; readonly renewIntervalMs: number };
  readonly worker: WorkerConfig | null;
  /** Holds the key that lets callers of other machines change things over HTTP; null = callers on this machine only. */
  readonly adminKeyFile: string | null;
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
}

export interface HostConfig {
  readonly name: NodeId;
  /** Address that others dial (`host`, else `tailscale_ip`). */
  readonly address: string;
  /** Who runs the machine, in the inventory's own word; "" where it does not say. */
  readonly provider: string;
  readonly ports: { readonly http: number; readonly peer: number; readonly client: number };
}

/** What the detectors of membership are made from. */
export interface MembershipConfig {
  /** The cluster's name in the clear at the head of every packet. */
  readonly label: string;
  /** Holds the gossip keys; null = none given, and then SWIM does not run. */
  readonly keyFile: string | null;
  /** `address:port` of datagrams and streams. */
  readonly bind: string;
  /** Where others reach this node, in order of preference; names are resolved by whoever dials. */
  readonly advertise: readonly string[];
  /** The voters, where the file names none. */
  readonly seeds: readonly { readonly id: NodeId | null; readonly addresses: readonly string[] }[];
  /** Whoever stands under `hosts`, and the patterns of the file. */
  readonly allow: AllowListOptions;
  /** With its main thread silent for longer, a node falls silent itself, so that its locks and its work go elsewhere. */
  readonly maxMainStallMs: number;
  readonly swim: SwimOptions;
  readonly httpPoll: HttpPollOptions;
}

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Timing {
  readonly profile: "local" | "lan" | "mesh" | "legacy";
  readonly tickMs: number;
  readonly heartbeatMs: number;
  readonly electionMs: number;
}

export interface WorkerConfig {
  readonly queues: readonly string[];
  readonly slots: number;
  readonly ttlMs: number;
  readonly drainTimeoutMs: number;
  readonly capabilities: {
    readonly gpuCount: number;
    readonly gpuMemoryMib: number;
    readonly gpuModel: string;
    readonly cuda: number;
    readonly cpu: number;
    readonly memoryMib: number;
    readonly diskMib: number;
    readonly labels: Readonly<Record<string, string>>;
  };
  /** kind of work → how it is run. */
  readonly handlers: ReadonlyMap<string, HandlerConfig>;
}

export interface HandlerConfig {
  /** Program and arguments; the item's payload arrives on standard input, its identity in RINGRAFT_* variables. */
  readonly command: readonly string[];
  readonly workingDirectory: string;
  /** 0…19, added for children. */
  readonly nice: number;
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
}
