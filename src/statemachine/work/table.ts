import { InvariantError, type WorkId } from "#kernel";
import { comparePlaces, type Place, placeOfWork, type WorkRecord, type WorkVersion } from "./record.ts";

/**
 * All work items by age, which is what their ids say: no text is kept or hashed to find one. The items stand in short chunks,
 * so that no insertion or removal ever moves, and no growth ever rehashes, more than one of them.
 *
 * Copy on write by generation: {@link WorkTable.freeze} shares the chunks as they are and begins a new generation, and a chunk
 * of an older generation is never written again but copied first. So whoever holds frozen chunks sees one moment.
 */
export class WorkTable implements Iterable<WorkRecord> {
  #chunks: Chunk[] = [];
  #generation = 0;

  get(id: WorkId): WorkRecord | undefined {
    const place = placeOfWork(id);
    if (place === null) return undefined;
    const chunk = this.#chunks[this.#chunkOf(place)];
    const record = chunk?.records[slotOf(chunk, place)];
    // "w-07" is nobody's id.
    return record !== undefined && comparePlaces(record.version, place) === 0 && record.workId === id ? record : undefined;
  }

  /** Nearly always at the end: ids rise. */
  insert(record: WorkRecord): void {
    const place = record.version;
    const at = this.#chunkOf(place);
    const last = at === this.#chunks.length - 1;
    if (at === -1 || (last && this.#chunks[at]!.records.length >= CHUNK_ITEMS && isBehind(this.#chunks[at]!, place))) {
      const { createRevision, ordinal } = place;
      const from = { createRevision, ordinal };
      this.#chunks.splice(at + 1, 0, { generation: this.#generation, from, records: [record], versions: [place] });
      return;
    }
    const chunk = this.#own(at);
    const slot = slotOf(chunk, place);
    const there = chunk.versions[slot];
    if (there !== undefined && comparePlaces(there, place) === 0) throw misplaced(record);
    chunk.records.splice(slot, 0, record);
    chunk.versions.splice(slot, 0, place);
  }

  /** Gives `record` its next version; the place stays. */
  replace(record: WorkRecord, next: WorkVersion): void {
    const chunk = this.#own(this.#chunkOf(next));
    const slot = slotOf(chunk, next);
    if (chunk.records[slot] !== record) throw misplaced(record);
    chunk.versions[slot] = next;
    record.version = next;
  }

  remove(record: WorkRecord): void {
    const at = this.#chunkOf(record.version);
    const chunk = this.#own(at);
    const slot = slotOf(chunk, record.version);
    if (chunk.records[slot] !== record) throw misplaced(record);
    chunk.records.splice(slot, 1);
    chunk.versions.splice(slot, 1);
    if (chunk.records.length === 0) this.#chunks.splice(at, 1);
    else if (chunk.records.length + (this.#chunks[at + 1]?.records.length ?? CHUNK_ITEMS) <= CHUNK_ITEMS / 2) this.#join(at);
  }

  [Symbol.iterator](): Iterator<WorkRecord> {
    return this.after(null);
  }

  /** Oldest first, from behind `place` on. The table must not change meanwhile. */
  *after(place: Place | null): Generator<WorkRecord> {
    const first = place === null ? 0 : Math.max(0, this.#chunkOf(place));
    for (let at = first; at < this.#chunks.length; at += 1) {
      for (const record of this.#chunks[at]!.records) {
        if (place === null || comparePlaces(record.version, place) > 0) yield record;
      }
    }
  }

  /** The versions of this moment, oldest first, however the table changes while they are walked. */
  freeze(): Iterable<WorkVersion> {
    const chunks = this.#chunks;
    this.#chunks = [...chunks];
    this.#generation += 1;
    return (function* versions(): Generator<WorkVersion> {
      for (const chunk of chunks) yield* chunk.versions;
    })();
  }

  /** The chunk at `at`, after which it may be written. */
  #own(at: number): Chunk {
    const chunk = this.#chunks[at]!;
    if (chunk.generation === this.#generation) return chunk;
    const { from, records, versions } = chunk;
    const own = { generation: this.#generation, from, records: [...records], versions: [...versions] };
    this.#chunks[at] = own;
    return own;
  }

  #join(at: number): void {
    const chunk = this.#own(at);
    const next = this.#chunks[at + 1]!;
    chunk.records.push(...next.records);
    chunk.versions.push(...next.versions);
    this.#chunks.splice(at + 1, 1);
  }

  /** The last chunk that begins at or before `place`; −1 when all begin behind it. */
  #chunkOf(place: Place): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comparePlaces(this.#chunks[middle]!.from, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

interface Chunk {
  readonly generation: number;
  /** At or before the first item, and behind the last item of the chunk before. */
  readonly from: Place;
  readonly records: WorkRecord[];
  /** `versions[i] === records[i].version` in every chunk that the table holds; frozen ones stay behind. */
  readonly versions: WorkVersion[];
}

const CHUNK_ITEMS = 256;

/** Not by `invariant`: its message would be built at every change. */
const misplaced = (record: WorkRecord): InvariantError =>
  new InvariantError(`work item ${record.workId} is not alone at its place in the table`);

const isBehind = (chunk: Chunk, place: Place): boolean => comparePlaces(chunk.versions.at(-1)!, place) < 0;

/** Where `place` stands in the chunk, or would. */
function slotOf(chunk: Chunk, place: Place): number {
  const { versions } = chunk;
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePlaces(versions[middle]!, place) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
