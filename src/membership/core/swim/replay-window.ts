/**
 * Which datagrams of which boot were taken already. Per boot it keeps the highest counter and a bitmap of the counters
 * behind it; what lies further behind counts as taken. (The ring of words is that of RFC 6479: whole words are cleared when
 * the window moves, bits are never shifted.)
 *
 * Bounded: when `maxBoots` are known, the boot that was silent for longest makes room. Its datagrams could then be replayed
 * once; incarnations and probe numbers make what they say harmless.
 */
export class ReplayWindow {
  readonly #words: number;
  readonly #window: number;
  readonly #maxBoots: () => number;
  readonly #places = new Map<number, number>();
  #tops = new Uint32Array(FIRST_PLACES);
  #touched = new Float64Array(FIRST_PLACES);
  #bits: Uint32Array;
  #clock = 0;
  /** The boot that was looked up last: each datagram asks for one twice, before the cipher and after it. */
  #boot = Number.NaN;
  #place: number | undefined;

  /**
   * `window`: counters behind the newest at which a late datagram is still taken; rounded up to a multiple of 32. `maxBoots` may
   * change, but what is known already stays.
   */
  constructor({ window, maxBoots }: { readonly window: number; readonly maxBoots: () => number }) {
    // One word more than the window: the newest word is only partly filled.
    this.#words = Math.ceil(window / 32) + 1;
    this.#window = (this.#words - 1) * 32;
    this.#maxBoots = maxBoots;
    this.#bits = new Uint32Array(FIRST_PLACES * this.#words);
  }

  /** Whether it was taken before. Changes nothing, so it may be asked before the datagram is known to be genuine. */
  has(boot: number, counter: number): boolean {
    const place = this.#placeOf(boot);
    if (place === undefined) return false;
    const top = this.#tops[place]!;
    if (counter > top) return false;
    return counter + this.#window <= top || (this.#bits[this.#wordAt(place, counter)]! & (1 << (counter & 31))) !== 0;
  }

  /** Takes a genuine datagram. False when it was taken before. */
  take(boot: number, counter: number): boolean {
    if (this.has(boot, counter)) return false;
    const place = this.#placeOf(boot) ?? this.#enter(boot, counter);
    this.#touched[place] = ++this.#clock;
    const top = this.#tops[place]!;
    if (counter > top) this.#advance(place, top, counter);
    this.#bits[this.#wordAt(place, counter)]! |= 1 << (counter & 31);
    return true;
  }

  get boots(): number {
    return this.#places.size;
  }

  #placeOf(boot: number): number | undefined {
    if (boot !== this.#boot) {
      this.#place = this.#places.get(boot);
      this.#boot = boot;
    }
    return this.#place;
  }

  #wordAt(place: number, counter: number): number {
    return place * this.#words + ((counter >>> 5) % this.#words);
  }

  #advance(place: number, top: number, counter: number): void {
    const moved = (counter >>> 5) - (top >>> 5);
    if (moved >= this.#words) this.#bits.fill(0, place * this.#words, (place + 1) * this.#words);
    else for (let step = 1; step <= moved; step++) this.#bits[this.#wordAt(place, top + step * 32)] = 0;
    this.#tops[place] = counter;
  }

  #enter(boot: number, counter: number): number {
    const place = this.#places.size < this.#maxBoots() ? this.#places.size : this.#evictSilent();
    if (place === this.#tops.length) this.#grow();
    this.#places.set(boot, place);
    this.#place = place;
    this.#tops[place] = counter;
    this.#bits.fill(0, place * this.#words, (place + 1) * this.#words);
    return place;
  }

  #evictSilent(): number {
    let silent = -1;
    let place = 0;
    for (const [boot, at] of this.#places) {
      if (silent !== -1 && this.#touched[at]! >= this.#touched[place]!) continue;
      silent = boot;
      place = at;
    }
    this.#places.delete(silent);
    return place;
  }

  #grow(): void {
    const places = Math.min(this.#tops.length * 2, this.#maxBoots());
    this.#tops = enlarged(this.#tops, new Uint32Array(places));
    this.#touched = enlarged(this.#touched, new Float64Array(places));
    this.#bits = enlarged(this.#bits, new Uint32Array(places * this.#words));
  }
}

const FIRST_PLACES = 8;

function enlarged<A extends Uint32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
