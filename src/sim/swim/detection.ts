import type { SwimEvent } from "#membership/core";

type Course = "nothing" | "suspected" | "dead" | "odd";

/** A crash, who has yet to notice it, and what each healthy observer reports of it. */
export class Detection {
  readonly atMs: number;
  /** Somebody suspects the crashed member; somebody has declared it dead. */
  isSuspected = false;
  isDead = false;
  /** Observers that still hold it running. */
  readonly waiting: Set<number>;
  readonly #courses: Map<number, Course>;

  /** `observers`: the healthy ones that held it running when it crashed. */
  constructor(atMs: number, observers: readonly number[]) {
    this.atMs = atMs;
    this.waiting = new Set(observers);
    this.#courses = new Map(observers.map((observer) => [observer, "nothing"]));
  }

  /** nothing -> suspected -> dead, or nothing -> dead; all else is odd. */
  reported(observer: number, kind: SwimEvent["kind"]): void {
    const course = this.#courses.get(observer);
    if (course === undefined) return;
    const isFirst = course === "nothing" || course === "suspected";
    const next = kind === "died" && isFirst ? "dead" : kind === "suspected" && course === "nothing" ? "suspected" : "odd";
    this.#courses.set(observer, next);
  }

  /** Observers that did not report at most one suspicion and then one verdict. */
  get odd(): readonly number[] {
    return [...this.#courses].flatMap(([observer, course]) => (course === "dead" ? [] : [observer]));
  }
}
