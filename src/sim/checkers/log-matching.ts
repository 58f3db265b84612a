import type { NodeId, Term } from "#kernel";
import type { Entry, Ready } from "#raft";
import type { Observer } from "../observer.ts";
import type { CheckerReport } from "./checker.ts";
import type { NodeLogs } from "./node-logs.ts";

interface Known {
  readonly entry: Entry;
  /** Null where it was not known. */
  previousTerm: Term | null;
}

/**
 * §5.3: entries with the same index and term are the same entry, and so is everything before them. Checked where an entry is
 * appended: the same content and the same predecessor's term as wherever it was appended first; the rest is induction.
 */
export class LogMatching implements Observer {
  readonly #logs: NodeLogs;
  readonly #report: CheckerReport;
  /** At each index, one per term. */
  readonly #known: Known[][] = [];

  constructor(logs: NodeLogs, report: CheckerReport) {
    this.#logs = logs;
    this.#report = report;
  }

  drained(node: NodeId, { persist }: Ready): void {
    if (persist === null) return;
    for (const entry of persist.entries) this.#append(node, entry);
  }

  #append(node: NodeId, entry: Entry): void {
    const { index, term } = entry;
    const previousTerm = this.#logs.termAt(node, index - 1);
    const here = (this.#known[index] ??= []);
    const known = here.find((candidate) => candidate.entry.term === term);
    if (known === undefined) {
      here.push({ entry, previousTerm });
      return;
    }
    known.previousTerm ??= previousTerm;
    if (!isSame(known.entry, entry)) {
      this.#report("log-matching", `${node} appends another entry at index ${index} of term ${term} than was there before`);
    } else if (previousTerm !== null && known.previousTerm !== previousTerm) {
      this.#report(
        "log-matching",
        `${node} appends index ${index} of term ${term} after term ${previousTerm}, elsewhere it follows term ${known.previousTerm}`,
      );
    }
  }
}

function isSame(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.clusterTimeMs !== b.clusterTimeMs || a.wallTimeMs !== b.wallTimeMs) return false;
  return a.data === b.data || (a.data.length === b.data.length && Buffer.compare(a.data, b.data) === 0);
}
