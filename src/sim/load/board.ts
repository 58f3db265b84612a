import type { JobId, Random, WorkId } from "#kernel";

/** What the clients have told each other: names of things that exist, for the next one to act upon. */
export class Board {
  readonly work: WorkId[] = [];
  readonly jobs: JobId[] = [];

  /** Rather something recent: old things are finished. */
  recentWork(random: Random): WorkId | null {
    const recent = this.work.slice(-RECENT);
    return recent[Math.floor(random() * recent.length)] ?? null;
  }
}

const RECENT = 30;
