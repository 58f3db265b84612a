/** The least that a disk writes whole or not at all. */
export const UNIT_BYTES = 512;
/** Smaller than a real one: a page is copied for every batch that the log adds to it. */
export const PAGE_BYTES = 1024;
const UNITS = PAGE_BYTES / UNIT_BYTES;
const ALL_UNITS = (1 << UNITS) - 1;

/** Units of one page that the platter does not have yet. */
interface Dirty {
  units: number;
  /** Of the newest write to it, counted over the disk: an ordered disk keeps a prefix of these. */
  order: number;
}

/** Pages that a sync has taken on and not finished: dirty still, for a crash. */
export type SyncUnderWay = { readonly pages: ReadonlyMap<number, Dirty>; readonly sizeBytes: number };

/**
 * One file in two layers: the page cache, as processes see it, and the platter. Pages are shared between the layers until one
 * is written, and all pages of zeros are one page: a segment filled with zeros costs nothing.
 */
export class PagedFile {
  readonly #cache: Uint8Array[] = [];
  readonly #platter: Uint8Array[] = [];
  #dirty = new Map<number, Dirty>();
  #syncing: SyncUnderWay[] = [];
  #cacheBytes = 0;
  #platterBytes = 0;
  /** What the platter would hold had no fault damaged it, where that differs. */
  readonly #undamaged = new Map<number, Uint8Array>();
  /** Rises whenever the platter changes. */
  platterVersion = 0;

  get sizeBytes(): number {
    return this.#cacheBytes;
  }

  get platterSizeBytes(): number {
    return this.#platterBytes;
  }

  /** Of the platter, without the zeros at its end. */
  get usedBytes(): number {
    let pages = this.#platter.length;
    while (pages > 0 && this.#platter[pages - 1] === ZEROS) pages -= 1;
    return Math.min(pages * PAGE_BYTES, this.#platterBytes);
  }

  /** All that was written is on the platter. */
  get isClean(): boolean {
    return this.#dirty.size === 0 && this.#syncing.length === 0 && this.#platterBytes === this.#cacheBytes;
  }

  read(position: number, length: number): Uint8Array {
    return gather(this.#cache, position, Math.min(length, this.#cacheBytes - position));
  }

  /** The platter as it was meant to be: without the damage that faults have done. */
  readPlatter(position: number, length: number): Uint8Array {
    let pages: readonly Uint8Array[] = this.#platter;
    if (this.#undamaged.size > 0) {
      const whole = [...this.#platter];
      for (const [at, page] of this.#undamaged) whole[at] = page;
      pages = whole;
    }
    return gather(pages, position, Math.min(length, this.#platterBytes - position));
  }

  write(position: number, bytes: Uint8Array, order: number): void {
    const end = position + bytes.length;
    for (let page = Math.floor(position / PAGE_BYTES); page * PAGE_BYTES < end; page += 1) {
      const start = page * PAGE_BYTES;
      const from = Math.max(position, start);
      const to = Math.min(end, start + PAGE_BYTES);
      this.#writePage(page, from - start, bytes.subarray(from - position, to - position), order);
    }
    if (end > this.#cacheBytes) this.#cacheBytes = end;
  }

  truncate(sizeBytes: number): void {
    const pages = Math.ceil(sizeBytes / PAGE_BYTES);
    if (sizeBytes < this.#cacheBytes) {
      this.#cache.length = Math.min(this.#cache.length, pages);
      for (const page of this.#dirty.keys()) if (page >= pages) this.#dirty.delete(page);
      const rest = sizeBytes % PAGE_BYTES;
      if (rest > 0 && this.#cache[pages - 1] !== undefined) {
        const last = this.#cache[pages - 1]!.slice();
        last.fill(0, rest);
        this.#cache[pages - 1] = last;
      }
    }
    this.#cacheBytes = sizeBytes;
  }

  /** What is dirty now is what this sync makes durable; what is written from here on waits for the next. */
  beginSync(): SyncUnderWay {
    let pages = this.#dirty;
    // A second sync waits for the first one's pages too.
    for (const earlier of this.#syncing) pages = union(earlier.pages, pages);
    const sync = { pages, sizeBytes: this.#cacheBytes };
    this.#dirty = new Map();
    this.#syncing.push(sync);
    return sync;
  }

  /** The process that waited is gone: what it wanted synced is dirty as before. */
  abandonSyncs(): void {
    for (const { pages } of this.#syncing) this.#dirty = union(pages, this.#dirty);
    this.#syncing = [];
  }

  endSync(sync: SyncUnderWay): void {
    this.#forget(sync);
    for (const page of sync.pages.keys()) this.#flush(page, ALL_UNITS);
    this.#platterBytes = sync.sizeBytes;
    this.#platter.length = Math.min(this.#platter.length, Math.ceil(sync.sizeBytes / PAGE_BYTES));
    this.platterVersion += 1;
  }

  /**
   * The sync failed: the pages count as clean, and the platter does not have them. `reverts`: the cache goes back to what the
   * platter has, as some file systems do (Rebello et al., ATC '20); otherwise it keeps showing what is nowhere.
   */
  failSync(sync: SyncUnderWay, reverts: boolean): void {
    this.#forget(sync);
    if (!reverts) return;
    for (const page of sync.pages.keys()) if (this.#platter[page] !== undefined) this.#cache[page] = this.#platter[page];
  }

  /** Power is gone. Each unit that was not durable survives if `survives` says so; then the cache is what the platter has. */
  losePower(survives: (order: number) => boolean): void {
    const pending = [...this.#syncing.flatMap((sync) => [...sync.pages]), ...this.#dirty];
    for (const [page, dirty] of pending) {
      let kept = 0;
      for (let unit = 0; unit < UNITS; unit += 1)
        if ((dirty.units & (1 << unit)) !== 0 && survives(dirty.order)) kept |= 1 << unit;
      if (kept === 0 || page * PAGE_BYTES >= this.#cacheBytes) continue;
      this.#flush(page, kept);
      const lastKept = 32 - Math.clz32(kept);
      const end = Math.min(this.#cacheBytes, page * PAGE_BYTES + lastKept * UNIT_BYTES);
      if (end > this.#platterBytes) this.#platterBytes = end;
    }
    this.#dirty = new Map();
    this.#syncing = [];
    this.#cacheBytes = this.#platterBytes;
    const pages = Math.ceil(this.#platterBytes / PAGE_BYTES);
    this.#platter.length = Math.min(this.#platter.length, pages);
    this.#cache.length = pages;
    for (let page = 0; page < pages; page += 1) this.#cache[page] = this.#platter[page] ?? ZEROS;
    this.platterVersion += 1;
  }

  /** Changes the platter behind everybody's back. The cache does not know: see {@link evict}. */
  damage(position: number, bytes: Uint8Array): void {
    const page = Math.floor(position / PAGE_BYTES);
    const before = this.#platter[page] ?? ZEROS;
    if (!this.#undamaged.has(page)) this.#undamaged.set(page, before);
    const damaged = before.slice();
    damaged.set(bytes.subarray(0, PAGE_BYTES - (position % PAGE_BYTES)), position % PAGE_BYTES);
    this.#platter[page] = damaged;
  }

  /** Clean pages leave the cache, as they do in time: what is damaged below them is what is read next. */
  evict(): void {
    for (const page of this.#undamaged.keys()) if (!this.#dirty.has(page)) this.#cache[page] = this.#platter[page]!;
  }

  /** A file with the same content on the platter, and nothing else. */
  copy(): PagedFile {
    const copy = new PagedFile();
    copy.#platter.push(...this.#platter);
    copy.#cache.push(...this.#platter);
    copy.#platterBytes = this.#platterBytes;
    copy.#cacheBytes = this.#platterBytes;
    return copy;
  }

  #writePage(page: number, offset: number, bytes: Uint8Array, order: number): void {
    while (this.#cache.length <= page) this.#cache.push(ZEROS);
    if (bytes.length === PAGE_BYTES) {
      const isZero = bytes[0] === 0 && Buffer.compare(bytes, ZEROS) === 0;
      this.#cache[page] = isZero ? ZEROS : new Uint8Array(bytes);
    } else {
      const shared = this.#cache[page]!;
      const own = shared === ZEROS || shared === this.#platter[page] ? shared.slice() : shared;
      own.set(bytes, offset);
      this.#cache[page] = own;
    }
    const first = Math.floor(offset / UNIT_BYTES);
    const last = Math.floor((offset + bytes.length - 1) / UNIT_BYTES);
    const units = ((1 << (last + 1)) - 1) & ~((1 << first) - 1);
    const dirty = this.#dirty.get(page);
    if (dirty === undefined) {
      this.#dirty.set(page, { units, order });
    } else {
      dirty.units |= units;
      dirty.order = order;
    }
  }

  #flush(page: number, units: number): void {
    const from = this.#cache[page];
    if (from === undefined) return;
    while (this.#platter.length <= page) this.#platter.push(ZEROS);
    if (units === ALL_UNITS) {
      this.#platter[page] = from;
      this.#undamaged.delete(page);
      return;
    }
    this.#platter[page] = mixed(this.#platter[page]!, from, units);
    const undamaged = this.#undamaged.get(page);
    if (undamaged !== undefined) this.#undamaged.set(page, mixed(undamaged, from, units));
  }

  #forget(sync: SyncUnderWay): void {
    const at = this.#syncing.indexOf(sync);
    if (at !== -1) this.#syncing.splice(at, 1);
  }
}

function union(earlier: ReadonlyMap<number, Dirty>, later: ReadonlyMap<number, Dirty>): Map<number, Dirty> {
  const both = new Map(earlier);
  for (const [page, { units, order }] of later) both.set(page, { units: units | (earlier.get(page)?.units ?? 0), order });
  return both;
}

/** `below` with these units of `above`. */
function mixed(below: Uint8Array, above: Uint8Array, units: number): Uint8Array {
  const page = below.slice();
  for (let unit = 0; unit < UNITS; unit += 1) {
    if ((units & (1 << unit)) === 0) continue;
    page.set(above.subarray(unit * UNIT_BYTES, (unit + 1) * UNIT_BYTES), unit * UNIT_BYTES);
  }
  return page;
}

const ZEROS = new Uint8Array(PAGE_BYTES);

function gather(pages: readonly Uint8Array[], position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, length));
  const end = position + length;
  for (let at = position; at < end;) {
    const page = Math.floor(at / PAGE_BYTES);
    const offset = at - page * PAGE_BYTES;
    const take = Math.min(PAGE_BYTES - offset, end - at);
    const from = pages[page];
    if (from !== undefined && from !== ZEROS) bytes.set(from.subarray(offset, offset + take), at - position);
    at += take;
  }
  return bytes;
}
