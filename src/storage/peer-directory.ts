import { crc32 } from "node:zlib";
import { type LogIndex, type NodeId, NO_INDEX } from "#kernel";
import type { Disk } from "#ports";
import { writeDurably } from "./durable-file.ts";
import { StorageError, isDiskFull } from "./error.ts";
import { Serial } from "./serial.ts";
import { readWhole } from "./wal/segments.ts";

/** What a node tells of its data directory when it introduces itself. */
export interface ShownDirectory {
  /** Made with the directory, random; empty where the node's version knows none. */
  readonly directoryId: string;
  /** How often a process has started on it. */
  readonly starts: number;
  /** Of the process: two processes that show the same count of starts are two copies. */
  readonly incarnation: number;
}

/**
 * - `wiped`: another directory than before under the same name: it has forgotten its votes and what it acknowledged
 * - `cloned`: the same directory, but older than one that was here before, or twice at once
 */
export type DirectoryFault = "wiped" | "cloned";

export type PeerVerdict =
  | { readonly kind: "welcome"; readonly isNews: boolean }
  | { readonly kind: "refused"; readonly fault: DirectoryFault; readonly why: string };

/** Who is met for the first time is believed; afterwards its directory must be the same one, and its starts must only rise. */
export function judgePeer(peer: NodeId, known: ShownDirectory | null, shown: ShownDirectory): PeerVerdict {
  if (known === null) return { kind: "welcome", isNews: shown.directoryId !== "" };
  if (shown.directoryId !== known.directoryId) {
    const why =
      `${peer} comes with another data directory than before (${shown.directoryId || "none"} for ${known.directoryId}): ` +
      "it has forgotten its votes; rejoin as a new member: remove it from the cluster, then add it";
    return { kind: "refused", fault: "wiped", why };
  }
  if (shown.starts < known.starts) {
    const why =
      `${peer} shows start ${shown.starts} of its data directory, but start ${known.starts} was here before: ` +
      "it is an old copy, or a copy of it runs elsewhere";
    return { kind: "refused", fault: "cloned", why };
  }
  if (shown.starts === known.starts && shown.incarnation !== known.incarnation) {
    const why = `two processes show start ${shown.starts} of ${peer}'s data directory: one of them runs on a copy`;
    return { kind: "refused", fault: "cloned", why };
  }
  return { kind: "welcome", isNews: shown.starts > known.starts };
}

/**
 * A node gives up when a majority of all voters refuses its directory: those are enough to decide without it, so it is of no
 * use; and fewer could be wrong themselves.
 */
export function isShutOut(refusedBy: ReadonlySet<NodeId>, voters: readonly NodeId[]): boolean {
  return voters.filter((voter) => refusedBy.has(voter)).length > voters.length / 2;
}

const PEERS_FILE = "peers.cell";

/** The directories that this node has accepted, remembered durably before a peer is answered. */
export class PeerDirectories {
  readonly #disk: Disk;
  readonly #serial = new Serial();
  readonly #known: Map<NodeId, ShownDirectory>;
  /**
   * Met first in this life, and in no configuration since. One that lags behind is greeted by members to come: the older
   * configurations that it has yet to hear of are no reason to forget them.
   */
  readonly #newcomers = new Set<NodeId>();
  /**
   * What members showed that were removed. Added again, they count with what they had; only one that shows an empty directory
   * in between, while it is no member, counts with that from then on.
   */
  readonly #removed: Map<NodeId, ShownDirectory>;
  /** Of the newest configuration that was looked at: a restart goes through older ones again. */
  #configurationIndex: LogIndex;
  /** Why nothing is remembered although there was something; null when all is well. */
  readonly problem: string | null;

  private constructor(disk: Disk, memory: Memory, problem: string | null) {
    this.#disk = disk;
    this.#known = new Map(memory.peers);
    this.#removed = new Map(memory.removed);
    this.#configurationIndex = memory.configurationIndex;
    this.problem = problem;
  }

  /** A damaged file is no reason to keep a voter down: whoever comes is then met for the first time. Throws IO_FAILED. */
  static async open(disk: Disk): Promise<PeerDirectories> {
    let text: string;
    try {
      text = Buffer.from(await readWhole(disk, PEERS_FILE)).toString("utf8");
    } catch (thrown) {
      if (thrown instanceof StorageError && thrown.systemCode === "ENOENT") return new PeerDirectories(disk, NOTHING, null);
      throw thrown;
    }
    const memory = decodeMemory(text);
    if (memory !== null) return new PeerDirectories(disk, memory, null);
    return new PeerDirectories(disk, NOTHING, `${PEERS_FILE} is damaged: which data directories the peers had is forgotten`);
  }

  knows(peer: NodeId): boolean {
    return this.#known.has(peer);
  }

  /**
   * Judges, and makes durable what is new before it resolves. Throws StorageError (IO_FAILED). A full disk refuses strangers
   * only: of a peer whose directory is remembered nothing but the count of starts is new, and a voter that was restarted must
   * not be shut out by disks that are full all over the cluster. Until the next write the count is kept in memory alone.
   */
  meet(peer: NodeId, shown: ShownDirectory): Promise<PeerVerdict> {
    return this.#serial.run(async () => {
      const removed = this.#known.has(peer) ? undefined : this.#removed.get(peer);
      const known = removed?.directoryId === shown.directoryId ? removed : this.#known.get(peer);
      const verdict = judgePeer(peer, known ?? null, shown);
      if (verdict.kind === "refused" || !verdict.isNews) return verdict;
      if (known !== undefined && known === removed) {
        this.#removed.set(peer, shown);
        return verdict;
      }
      const mayForgetStarts = this.#known.has(peer);
      await this.#write(new Map(this.#known).set(peer, shown), this.#configurationIndex).catch((thrown: unknown) => {
        if (!mayForgetStarts || !isDiskFull(thrown)) throw thrown;
      });
      if (!this.#known.has(peer)) this.#newcomers.add(peer);
      this.#removed.delete(peer);
      this.#known.set(peer, shown);
      return verdict;
    });
  }

  /** The configuration at `index` is committed: who is a member no more may come back with an empty directory. */
  configured(index: LogIndex, members: ReadonlySet<NodeId>): Promise<void> {
    return this.#serial.run(async () => {
      for (const member of members) this.#newcomers.delete(member);
      if (index <= this.#configurationIndex) return;
      const gone = [...this.#known].filter(([peer]) => !members.has(peer) && !this.#newcomers.has(peer));
      const back = [...this.#removed].filter(([peer]) => members.has(peer));
      for (const [peer, shown] of gone) this.#removed.set(peer, shown);
      for (const [peer] of gone) this.#known.delete(peer);
      for (const [peer, shown] of back) if (!this.#known.has(peer)) this.#known.set(peer, shown);
      for (const [peer] of back) this.#removed.delete(peer);
      this.#configurationIndex = index;
      if (gone.length + back.length === 0) return;
      // When there is no room, a restart stands where it stood, and is told of this configuration again.
      await this.#write(this.#known, index).catch((thrown: unknown) => {
        if (!isDiskFull(thrown)) throw thrown;
      });
    });
  }

  #write(peers: ReadonlyMap<NodeId, ShownDirectory>, configurationIndex: LogIndex): Promise<void> {
    const memory = { peers: [...peers], removed: [...this.#removed], configurationIndex };
    return writeDurably(this.#disk, PEERS_FILE, Buffer.from(encodeMemory(memory), "utf8"));
  }
}

interface Memory {
  readonly peers: readonly (readonly [NodeId, ShownDirectory])[];
  readonly removed: Memory["peers"];
  readonly configurationIndex: LogIndex;
}

const NOTHING: Memory = { peers: [], removed: [], configurationIndex: NO_INDEX };

/** One line: the CRC-32 of what follows as eight hexadecimal digits, a space, JSON. */
function encodeMemory({ peers, removed, configurationIndex }: Memory): string {
  const json = JSON.stringify({
    format_version: 1,
    configuration_index: configurationIndex,
    peers: peers.map(toStored),
    removed: removed.map(toStored),
  });
  return `${checksum(json)} ${json}\n`;
}

/** The checksum vouches for the shape: only this version writes it. */
function decodeMemory(text: string): Memory | null {
  const json = text.slice(9, -1);
  if (text.slice(0, 9) !== `${checksum(json)} ` || !text.endsWith("\n")) return null;
  const stored = JSON.parse(json) as {
    readonly configuration_index: LogIndex;
    readonly peers: readonly StoredPeer[];
    /** Absent in files of the first days. */
    readonly removed?: readonly StoredPeer[];
  };
  return {
    configurationIndex: stored.configuration_index,
    peers: stored.peers.map(fromStored),
    removed: (stored.removed ?? []).map(fromStored),
  };
}

interface StoredPeer {
  readonly node_id: NodeId;
  readonly directory_id: string;
  readonly starts: number;
  readonly incarnation: number;
}

function toStored([node_id, { directoryId, starts, incarnation }]: Memory["peers"][number]): StoredPeer {
  return { node_id, directory_id: directoryId, starts, incarnation };
}

function fromStored({ node_id, directory_id, starts, incarnation }: StoredPeer): Memory["peers"][number] {
  return [node_id, { directoryId: directory_id, starts, incarnation }];
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
