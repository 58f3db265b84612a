import { type LogIndex, type NodeId, type Outcome, accepted, refusal, refused } from "#kernel";
import type { Log, PeerLinks } from "#ports";
import type { Input, Message, SnapshotMeta, SnapshotSend } from "#raft";
import { type SavedSnapshot, type SnapshotStore, StorageError, isDiskFull } from "#storage";
import type { StateSnapshot } from "../engine.ts";

export interface SnapshotTransferOptions {
  readonly self: NodeId;
  readonly snapshotChunkBytes: number;
}

export interface SnapshotTransferPorts {
  readonly snapshots: SnapshotStore;
  readonly peers: PeerLinks<Message>;
  readonly log: Log;
}

export interface SnapshotTransferEvents {
  readonly step: (input: Input) => void;
  /** All bytes are durable in the store: restore from them. */
  readonly install: (meta: SnapshotMeta) => Promise<void>;
  readonly fatal: (error: unknown) => void;
  /** This node leads, and the peer has not got its snapshot yet. */
  readonly isReceiving: (peer: NodeId) => boolean;
}

type SnapshotChunk = Extract<Message, { kind: "snapshotChunk" }>;

/** Moves snapshot bytes between the store and the peers. The core decides which range goes where; this carries it. */
export class SnapshotTransfer {
  readonly #options: SnapshotTransferOptions;
  readonly #ports: SnapshotTransferPorts;
  readonly #events: SnapshotTransferEvents;
  /** Newest snapshots of this node, by index: what `snapshotChunk.meta` says. */
  readonly #metas = new Map<number, SnapshotMeta>();
  /** Peers with a read of the store under way: a second wish for the same chunk is a repetition. */
  readonly #sending = new Set<NodeId>();
  /** What each peer was sent last. */
  readonly #sent = new Map<NodeId, LogIndex>();
  /** Chunks are stored strictly one after the other. */
  #receiving: Promise<void> = Promise.resolve();
  #saving = false;
  #stopped = false;

  constructor(options: SnapshotTransferOptions, ports: SnapshotTransferPorts, events: SnapshotTransferEvents) {
    this.#options = options;
    this.#ports = ports;
    this.#events = events;
    ports.snapshots.keepWhile(() => this.#inUse());
  }

  stop(): void {
    this.#stopped = true;
  }

  async save(meta: SnapshotMeta, snapshot: StateSnapshot): Promise<Outcome<SavedSnapshot>> {
    if (this.#saving) return refused(refusal("BAD_STATE", `a snapshot is being written already, asked for ${meta.index}`));
    this.#saving = true;
    try {
      const saved = await this.#ports.snapshots.save(meta, snapshot.digest, snapshot.content);
      this.#metas.set(meta.index, meta);
      return accepted(saved);
    } catch (error) {
      // The log holds all of it still: a snapshot that does not fit is dropped, and tried again with the next one.
      if (isDiskFull(error))
        return refused(refusal("OVERLOADED", `the disk is too full for snapshot ${meta.index}: it is dropped`));
      this.#events.fatal(error);
      return refused(refusal("INTERNAL", `snapshot ${meta.index} could not be written`));
    } finally {
      this.#saving = false;
    }
  }

  send(wanted: SnapshotSend): void {
    if (this.#sending.has(wanted.to)) return;
    this.#sending.add(wanted.to);
    this.#sent.set(wanted.to, wanted.index);
    void this.#sendChunk(wanted).finally(() => this.#sending.delete(wanted.to));
  }

  receive(chunk: SnapshotChunk): void {
    this.#receiving = this.#receiving.then(() => this.#store(chunk)).catch((error: unknown) => this.#events.fatal(error));
  }

  /** A transfer may take longer than two newer snapshots: what it reads stays on the disk until it has ended. */
  #inUse(): ReadonlySet<LogIndex> {
    for (const peer of this.#sent.keys()) if (!this.#events.isReceiving(peer)) this.#sent.delete(peer);
    return new Set(this.#sent.values());
  }

  /** A snapshot that cannot be read is not this node's end: the core asks again, and in the end for a newer one. */
  async #sendChunk({ to, term, index, offset }: SnapshotSend): Promise<void> {
    const { snapshots, peers, log } = this.#ports;
    try {
      const meta = await this.#meta(index);
      if (meta === null) return log.warn("snapshot to send is gone", { peer: to, index });
      const { bytes, totalBytes } = await snapshots.readRaw(meta.index, offset, this.#options.snapshotChunkBytes);
      if (this.#stopped) return;
      const done = offset + bytes.length >= totalBytes;
      const from = this.#options.self;
      peers.send(to, { kind: "snapshotChunk", from, to, term, meta, offset, data: bytes, done, totalBytes });
    } catch (error) {
      log.error("snapshot to send cannot be read", { peer: to, index, offset, error: String(error) });
    }
  }

  async #meta(index: number): Promise<SnapshotMeta | null> {
    if (!this.#metas.has(index)) for (const meta of await this.#ports.snapshots.list()) this.#metas.set(meta.index, meta);
    return this.#metas.get(index) ?? null;
  }

  async #store(chunk: SnapshotChunk): Promise<void> {
    if (this.#stopped) return;
    const { meta, offset, data, done } = chunk;
    const nextOffset = await this.#storeBytes(chunk);
    // No answer: the leader repeats the chunk after a while, and by then there may be room.
    if (nextOffset === null) return this.#events.step({ kind: "snapshotReceived", index: meta.index, nextOffset: null });
    const isWhole = done && nextOffset === offset + data.length;
    if (isWhole && (await this.#finish(meta))) return await this.#events.install(meta);
    this.#events.step({ kind: "snapshotReceived", index: meta.index, nextOffset: isWhole ? 0 : nextOffset });
  }

  /** Null when the snapshot is given up because it does not fit; what was there before is as it was. */
  async #storeBytes({ meta, offset, data, totalBytes }: SnapshotChunk): Promise<number | null> {
    try {
      return await this.#ports.snapshots.receiveRaw(meta, offset, data, totalBytes);
    } catch (error) {
      if (!isDiskFull(error) && !(error instanceof StorageError && error.code === "TOO_LARGE")) throw error;
      this.#ports.log.error("snapshot cannot be received", { index: meta.index, totalBytes, error: (error as Error).message });
      return null;
    }
  }

  /** False when the bytes do not verify (bad where they came from, or on the way), or the disk is full. Then ask for all of them again. */
  async #finish(meta: SnapshotMeta): Promise<boolean> {
    try {
      await this.#ports.snapshots.finishReceive(meta);
      return true;
    } catch (error) {
      if (!(error instanceof StorageError && error.code === "CORRUPT") && !isDiskFull(error)) throw error;
      this.#ports.log.error("received snapshot cannot be used", { index: meta.index, error: (error as Error).message });
      return false;
    }
  }
}
