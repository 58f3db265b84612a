import { type Random, seededRandom } from "#kernel";

/**
 * Random numbers of one purpose. `fork` gives a stream of its own by name, a function of the run's seed and the name alone:
 * one more draw here shifts nothing there.
 */
export class Dice {
  readonly #seed: number;
  readonly next: Random;

  constructor(seed: number) {
    this.#seed = hashInto(0x9e37_79b9, [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]);
    this.next = seededRandom(this.#seed);
  }

  fork(name: string): Dice {
    return new Dice(
      hashInto(
        this.#seed,
        Array.from(name, (letter) => letter.codePointAt(0)!),
      ),
    );
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }

  /** Each order of magnitude is as likely as the next. */
  logUniform(least: number, most: number): number {
    return least * (most / least) ** this.next();
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const mixed = [...items];
    for (let at = mixed.length - 1; at > 0; at -= 1) {
      const other = this.int(0, at);
      [mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!];
    }
    return mixed;
  }
}

function hashInto(start: number, words: readonly number[]): number {
  let hash = start >>> 0;
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}
