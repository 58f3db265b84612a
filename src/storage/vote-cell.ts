import { crc32 } from "node:zlib";
import { NodeId, Term, invariant } from "#kernel";
import type { Disk, DiskFile } from "#ports";
import type { HardState } from "#raft";
import { writeDurably } from "./durable-file.ts";
import { StorageError } from "./error.ts";
import { asBuffer, readSafeInteger, writeSafeInteger } from "./wal/format.ts";
import { readWhole } from "./wal/segments.ts";

/**
 * The second copy of term and vote, outside the log. It is durable before the log is told, and the log before anything is
 * sent: so one damage, wherever it falls, leaves a copy of every vote that this node ever gave (docs/decisions/0011).
 *
 * One disk unit of 512 bytes, little-endian, written in place, so that a full disk cannot stop an election:
 *
 * | at | bytes | field |
 * |---:|---:|---|
 * | 0 | 4 | magic `CVOT` |
 * | 4 | 2 | format version, 1 |
 * | 6 | 2 | length of the name, 0 = no vote |
 * | 8 | 8 | term |
 * | 16 | … | whom it voted for, UTF-8; then zeros |
 * | 508 | 4 | CRC-32 of bytes 0–507 |
 */
export const VOTE_FILE = "vote.cell";

/** What the file says. A crash in the middle of a write leaves it damaged, and then the log holds all that was ever sent. */
export type StoredVote =
  | { readonly kind: "absent" }
  | { readonly kind: "damaged"; readonly problem: string }
  | { readonly kind: "sound"; readonly hardState: HardState };

/** Never writes. Throws StorageError: IO_FAILED, FORMAT_TOO_NEW. */
export async function readVote(disk: Disk): Promise<StoredVote> {
  let bytes: Buffer;
  try {
    bytes = asBuffer(await readWhole(disk, VOTE_FILE));
  } catch (thrown) {
    if (thrown instanceof StorageError && thrown.systemCode === "ENOENT") return { kind: "absent" };
    throw thrown;
  }
  if (bytes.length !== CELL_BYTES) return { kind: "damaged", problem: `it has ${bytes.length} bytes, not ${CELL_BYTES}` };
  if (bytes.readUInt32LE(0) !== MAGIC || crc32(bytes.subarray(0, CRC_AT)) !== bytes.readUInt32LE(CRC_AT)) {
    return { kind: "damaged", problem: "it does not match its checksum" };
  }
  const version = bytes.readUInt16LE(4);
  if (version !== FORMAT_VERSION) {
    throw new StorageError("FORMAT_TOO_NEW", `written in format ${version}; this version reads ${FORMAT_VERSION}`, {
      file: VOTE_FILE,
    });
  }
  const nameBytes = bytes.readUInt16LE(6);
  const votedFor = nameBytes === 0 ? null : NodeId(bytes.toString("utf8", NAME_AT, NAME_AT + nameBytes));
  return { kind: "sound", hardState: { term: Term(readSafeInteger(bytes, 8)), votedFor } };
}

/** Of two memories of one node, the one that promises more. */
export function laterHardState(a: HardState, b: HardState): HardState {
  if (a.term !== b.term) return a.term > b.term ? a : b;
  return a.votedFor === null ? b : a;
}

export class VoteCell {
  readonly #file: DiskFile;

  private constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Writes the file anew: what was read may have been in the page cache only, marked clean after a failed sync. */
  static async open(disk: Disk, hardState: HardState): Promise<VoteCell> {
    await writeDurably(disk, VOTE_FILE, encodeCell(hardState));
    try {
      return new VoteCell(await disk.open(VOTE_FILE, { create: false }));
    } catch (thrown) {
      throw StorageError.from(thrown, "opening it", VOTE_FILE);
    }
  }

  /** A rejection is final: what the file holds then is not known. */
  async write(hardState: HardState): Promise<void> {
    try {
      await this.#file.writeSynced(0, encodeCell(hardState));
    } catch (thrown) {
      throw StorageError.from(thrown, "writing the vote", VOTE_FILE);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function encodeCell({ term, votedFor }: HardState): Uint8Array {
  const name = Buffer.from(votedFor ?? "", "utf8");
  invariant(name.length <= CRC_AT - NAME_AT, `a node id of ${name.length} bytes does not fit into the vote's cell`);
  const bytes = Buffer.alloc(CELL_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(FORMAT_VERSION, 4);
  bytes.writeUInt16LE(name.length, 6);
  writeSafeInteger(bytes, 8, term);
  name.copy(bytes, NAME_AT);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, CRC_AT)), CRC_AT);
  return bytes;
}

const CELL_BYTES = 512;
const CRC_AT = 508;
const NAME_AT = 16;
const FORMAT_VERSION = 1;
/** `CVOT` read as a little-endian number. */
const MAGIC = 0x544f_5643;
