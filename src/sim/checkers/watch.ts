import { isDeepStrictEqual } from "node:util";
import type { WatchOutput, WatchSpec } from "#replica";
import type { Event } from "#statemachine";
import type { Observer, WatchStream } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { Replay } from "./replay.ts";

interface Followed {
  stream: WatchStream;
  /** Everything up to here has been delivered; null until the first answer of a watch from now on. */
  upTo: number | null;
  /** Objects of a snapshot that has not ended yet. */
  snapshot: Set<string> | null;
}

/**
 * A watch shows exactly what the log says: every matching change once, in order, whole revisions, over any number of nodes
 * and resumptions; a bookmark promises that nothing was left out; a snapshot is the state at its revision.
 */
export class WatchChecker implements Observer {
  readonly #replay: Pick<Replay, "at" | "objectAt" | "keys" | "index">;
  readonly #report: CheckerReport;
  readonly #watches = new Map<number, Followed>();

  constructor(replay: Pick<Replay, "at" | "objectAt" | "keys" | "index">, report: CheckerReport) {
    this.#replay = replay;
    this.#report = report;
  }

  watching(stream: WatchStream): void {
    const { spec, watch } = stream;
    const known = this.#watches.get(watch);
    const from = spec.snapshot || spec.fromRevision === 0 ? null : spec.fromRevision - 1;
    // A client that resumes elsewhere asks for what comes next; if it asks for more, it would get it twice.
    if (known !== undefined && from !== null && known.upTo !== null && from !== known.upTo) {
      this.#complain(watch, `resumed after ${from}, it had got everything up to ${known.upTo}`);
    }
    this.#watches.set(watch, { stream, upTo: from, snapshot: spec.snapshot ? new Set() : null });
  }

  watched(stream: WatchStream, output: WatchOutput): void {
    const followed = this.#watches.get(stream.watch);
    if (followed?.stream !== stream) return;
    const { revision } = output;
    if (revision > this.#replay.index)
      this.#complain(stream.watch, `shows revision ${revision}, ${this.#replay.index} is the last committed`);
    else if (output.snapshot !== null) this.#snapshot(followed, output, output.snapshot);
    else this.#changes(followed, output);
  }

  #changes(followed: Followed, { revision, events }: WatchOutput): void {
    const { stream, upTo } = followed;
    const isBookmark = events.length === 0;
    if (followed.snapshot !== null)
      return this.#complain(stream.watch, `a change at ${revision} came into the middle of a snapshot`);
    if (upTo !== null && (isBookmark ? revision < upTo : revision <= upTo)) {
      return this.#complain(stream.watch, `went back from ${upTo} to ${revision}`);
    }
    for (let between = (upTo ?? revision) + 1; between < revision; between += 1) {
      if (this.#matching(stream.spec, between).length > 0)
        return this.#complain(stream.watch, `left out ${between}, between ${upTo} and ${revision}`);
    }
    // A bookmark from now on: what it covers began before the watch.
    const expected = isBookmark && (upTo === null || revision === upTo) ? [] : this.#matching(stream.spec, revision);
    if (!isDeepStrictEqual(expected, [...events])) {
      this.#complain(stream.watch, `showed ${show(events)} at ${revision}, the log says ${show(expected)}`);
    }
    followed.upTo = revision;
  }

  #snapshot(followed: Followed, { revision, snapshotEnd }: WatchOutput, objects: NonNullable<WatchOutput["snapshot"]>): void {
    const { stream, snapshot } = followed;
    if (snapshot === null) return this.#complain(stream.watch, "a snapshot came that nobody asked for");
    for (const { kind, key, value } of objects) {
      snapshot.add(`${kind} ${key}`);
      // Renewals move a session's deadline without a change that the model would see.
      if (kind !== "session" && !isDeepStrictEqual(this.#replay.objectAt(kind, key, revision)?.value, value)) {
        this.#complain(stream.watch, `its snapshot shows ${kind} ${key} otherwise than the log at ${revision}`);
      }
    }
    if (!snapshotEnd) return;
    for (const kind of stream.spec.kinds) {
      for (const key of this.#replay.keys(kind)) {
        if (!key.startsWith(stream.spec.keyPrefix) || snapshot.has(`${kind} ${key}`)) continue;
        if (this.#replay.objectAt(kind, key, revision) !== null)
          this.#complain(stream.watch, `its snapshot at ${revision} lacks ${kind} ${key}`);
      }
    }
    followed.snapshot = null;
    followed.upTo = revision;
  }

  #matching({ kinds, keyPrefix }: WatchSpec, revision: number): readonly Event[] {
    const events = this.#replay.at(revision)?.events ?? [];
    return events.filter(({ kind, key }) => (kinds.length === 0 || kinds.includes(kind)) && key.startsWith(keyPrefix));
  }

  #complain(watch: number, problem: string): void {
    this.#report("watch", `watch ${watch}: ${problem}`);
  }
}

function show(events: readonly Event[]): string {
  return events.length === 0 ? "nothing" : events.map(({ kind, key }) => `${kind} ${key}`).join(", ");
}
