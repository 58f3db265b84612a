import { crc32 } from "node:zlib";
import { type LogIndex, type NodeId, NO_INDEX } from "#kernel";
import type { Disk } from "#ports";
import { type Configuration, type PlacedConfiguration, admissionOf } from "#raft";
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
  /** By which entry the node is a member, as its own log has it; {@link NO_INDEX} for a founder, and where it knows of none. */
  readonly admission: LogIndex;
}

/** What the judge's own log says of a peer, up to its end: whoever counts with the peer has the entry that says so. */
export interface Standing {
  /** Null: it is no member. */
  readonly admission: LogIndex | null;
  /** Of the configuration that says so. */
  readonly configurationIndex: LogIndex;
}

/**
 * - `wiped`: another directory than before in one membership: it has forgotten its votes and what it acknowledged
 * - `cloned`: the same directory, but older than one that was here before, or twice at once
 */
export type DirectoryFault = "wiped" | "cloned";

export type PeerVerdict =
  /** `admission`: the membership that it is welcome in; null for who is no member, of whom nothing is remembered. */
  | { readonly kind: "welcome"; readonly admission: LogIndex | null; readonly isNews: boolean }
  | { readonly kind: "refused"; readonly fault: DirectoryFault; readonly why: string };

/**
 * Who is met for the first time in a membership is believed; as long as that lasts its directory must be the same one, and its
 * starts must only rise. The newest membership counts that the judge's log, its memory or the peer itself knows of: either of
 * the two may lag behind, and whoever is wiped shows none.
 */
export function judgePeer(peer: NodeId, known: ShownDirectory | null, shown: ShownDirectory, standing: Standing): PeerVerdict {
  const admission = laterOf(standing.admission ?? NO_INDEX, shown.admission);
  const newest = laterOf(admission, known?.admission ?? NO_INDEX);
  if (standing.admission === null && standing.configurationIndex > newest) {
    return { kind: "welcome", admission: null, isNews: false };
  }
  if (known === null || admission > known.admission) return { kind: "welcome", admission, isNews: shown.directoryId !== "" };
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
  return { kind: "welcome", admission: known.admission, isNews: shown.starts > known.starts };
}

function laterOf(one: LogIndex, other: LogIndex): LogIndex {
  return one > other ? one : other;
}

/**
 * A node gives up when a majority of all voters refuses its directory: those are enough to decide without it, so it is of no
 * use; and fewer could be wrong themselves.
 */
export function isShutOut(refusedBy: ReadonlySet<NodeId>, voters: readonly NodeId[]): boolean {
  return voters.filter((voter) => refusedBy.has(voter)).length > voters.length / 2;
}

/** Whose refusals are weighed: the voters as the node's log has them, or its configuration while the log does not name it. */
export function weighingVoters(node: NodeId, inLog: Configuration, configured: readonly NodeId[]): readonly NodeId[] {
  return admissionOf(inLog, node) === null ? configured : inLog.voters;
}

const PEERS_FILE = "peers.cell";

/** The directories that this node has accepted, remembered durably before a peer is answered. */
export class PeerDirectories {
  readonly #disk: Disk;
  readonly #membership: () => PlacedConfiguration;
  readonly #serial = new Serial();
  /** `admission`: the membership in which the directory was met. */
  #known: ReadonlyMap<NodeId, ShownDirectory>;
  /** The disk was full: some of what is known is not on it. */
  #isUnwritten = false;
  /** Why nothing is remembered although there was something; null when all is well. */
  readonly problem: string | null;

  private constructor(disk: Disk, membership: () => PlacedConfiguration, known: Peers, problem: string | null) {
    this.#disk = disk;
    this.#membership = membership;
    this.#known = new Map(known);
    this.problem = problem;
  }

  /**
   * `membership`: the configuration in force here. A damaged file is no reason to keep a voter down: whoever comes is then met
   * for the first time. Throws IO_FAILED.
   */
  static async open(disk: Disk, membership: () => PlacedConfiguration): Promise<PeerDirectories> {
    let text: string;
    try {
      text = Buffer.from(await readWhole(disk, PEERS_FILE)).toString("utf8");
    } catch (thrown) {
      if (thrown instanceof StorageError && thrown.systemCode === "ENOENT")
        return new PeerDirectories(disk, membership, [], null);
      throw thrown;
    }
    const known = decodePeers(text);
    const problem = `${PEERS_FILE} is damaged: which data directories the peers had is forgotten`;
    return new PeerDirectories(disk, membership, known ?? [], known === null ? problem : null);
  }

  judge(peer: NodeId, shown: ShownDirectory): PeerVerdict {
    return judgePeer(peer, this.#known.get(peer) ?? null, shown, this.#standing(peer));
  }

  /** Whether what a peer says counts that was welcome as of `admission`. Not if it was added since: it shall introduce itself anew. */
  admits(peer: NodeId, admission: LogIndex | null): boolean {
    const now = this.#standing(peer).admission;
    return now === null || (admission !== null && admission >= now);
  }

  /**
   * Judges, and makes durable what is new before it resolves. Throws StorageError (IO_FAILED). A full disk refuses unknown
   * directories only: of one that is remembered nothing but the count of starts or the membership is new, and a voter that was
   * restarted must not be shut out by disks that are full all over the cluster. That is kept in memory alone until the next
   * introduction, of whomever, that finds room.
   */
  meet(peer: NodeId, shown: ShownDirectory): Promise<PeerVerdict> {
    return this.#serial.run(async () => {
      const verdict = this.judge(peer, shown);
      if (verdict.kind === "refused" || verdict.admission === null) return verdict;
      if (!verdict.isNews && !this.#isUnwritten) return verdict;
      const met = { ...shown, admission: verdict.admission };
      const known = verdict.isNews ? new Map(this.#known).set(peer, met) : this.#known;
      const mayWait = this.#known.get(peer)?.directoryId === known.get(peer)?.directoryId;
      this.#isUnwritten = await this.#write(known).then(
        () => false,
        (thrown: unknown) => {
          if (!mayWait || !isDiskFull(thrown)) throw thrown;
          return true;
        },
      );
      this.#known = known;
      return verdict;
    });
  }

  #standing(peer: NodeId): Standing {
    const { index, configuration } = this.#membership();
    return { admission: admissionOf(configuration, peer), configurationIndex: index };
  }

  #write(peers: ReadonlyMap<NodeId, ShownDirectory>): Promise<void> {
    return writeDurably(this.#disk, PEERS_FILE, Buffer.from(encodePeers([...peers]), "utf8"));
  }
}

type Peers = readonly (readonly [NodeId, ShownDirectory])[];

/** One line: the CRC-32 of what follows as eight hexadecimal digits, a space, JSON. */
function encodePeers(peers: Peers): string {
  const json = JSON.stringify({ format_version: 1, peers: peers.map(toStored) });
  return `${checksum(json)} ${json}\n`;
}

/** The checksum vouches for the shape: only this version writes it. */
function decodePeers(text: string): Peers | null {
  const json = text.slice(9, -1);
  if (text.slice(0, 9) !== `${checksum(json)} ` || !text.endsWith("\n")) return null;
  const { peers } = JSON.parse(json) as { readonly peers: readonly StoredPeer[] };
  return peers.map(fromStored);
}

interface StoredPeer {
  readonly node_id: NodeId;
  readonly directory_id: string;
  readonly starts: number;
  readonly incarnation: number;
  /** Absent in files of the first days. */
  readonly admission?: LogIndex;
}

function toStored([node_id, { directoryId, starts, incarnation, admission }]: Peers[number]): StoredPeer {
  return { node_id, directory_id: directoryId, starts, incarnation, admission };
}

function fromStored({ node_id, directory_id, starts, incarnation, admission = NO_INDEX }: StoredPeer): Peers[number] {
  return [node_id, { directoryId: directory_id, starts, incarnation, admission }];
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
