import type { JobId, Random, Revision, WorkId } from "#kernel";

/** What the clients have told each other: names of things that exist, for the next one to act upon. */
export class Board {
  readonly work: WorkId[] = [];
  readonly jobs: JobId[] = [];
  /** The newest revision that anyone has seen. */
  revision = 0 as Revision;
  /** Items enqueued and not yet seen finished: when it is high, nobody adds to it. */
  backlog = 0;
  /** Lanes in the middle of an action. */
  acting = 0;
  /** Set while draining, once nothing is left to do. */
  isAllDone = false;

  /** Rather something recent: old things are finished. */
  recentWork(random: Random): WorkId | null {
    const recent = this.work.slice(-RECENT);
    return recent[Math.floor(random() * recent.length)] ?? null;
  }
}

const RECENT = 30;
