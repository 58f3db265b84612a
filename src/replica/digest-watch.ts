import { type LogIndex, NO_INDEX, type NodeId } from "#kernel";
import type { DigestReport } from "#consensus";
import { DIGEST_VERSION } from "#statemachine";

/** Whose state differs, as of `index`. The same entries give the same state: whoever differs has met a fault, not an opinion. */
export interface Divergence {
  readonly index: LogIndex;
  /** A majority of all voters agreed against these; empty where there never was one (two voters, a tie, too few reports). */
  readonly odd: readonly NodeId[];
  /** Every voter that reported, by what it reported. */
  readonly reports: ReadonlyMap<NodeId, string>;
}

/** Voters compare their states every so many entries, by index, so that all compare the same. */
export const DIGEST_EVERY = 1_000;
/** A voter that lags by more than this many reports has nothing left to compare with. */
const KEPT_REPORTS = 64;

/** Gathers what all voters report about the same indexes and says who differs. Pure: it knows no wire and no time. */
export class DigestWatch {
  readonly #self: NodeId;
  readonly #reports = new Map<LogIndex, Map<NodeId, string>>();
  #newestOwn: LogIndex = NO_INDEX;
  #divergence: Divergence | null = null;

  constructor(self: NodeId) {
    this.#self = self;
  }

  /** The newest finding; null while all that was compared last is equal. */
  get divergence(): Divergence | null {
    return this.#divergence;
  }

  /** This node's own state. */
  own(report: DigestReport, voters: readonly NodeId[]): void {
    this.#newestOwn = report.index;
    this.#record(this.#self, report);
    this.#judge(report.index, voters);
  }

  /**
   * Another voter's; one whose digest covers something else, in a cluster that is being upgraded, is passed over. The answer, when not null, is what that voter must be told: it reported something else about an index that
   * this node perhaps passed when the other one was not there to hear of it. Answered once, so that answers meet no answers.
   */
  other(from: NodeId, report: DigestReport, voters: readonly NodeId[]): DigestReport | null {
    if (report.digestVersion !== DIGEST_VERSION) return null;
    const isNew = this.#reports.get(report.index)?.get(from) !== report.digest;
    if (report.index > this.#newestOwn + KEPT_REPORTS * DIGEST_EVERY || !isNew) return null;
    this.#record(from, report);
    this.#judge(report.index, voters);
    const digest = this.#reports.get(report.index)?.get(this.#self);
    return digest === undefined || digest === report.digest ? null : { ...report, digest };
  }

  /** It may have restarted: it knows nothing of what it was told, and says again what it said. */
  reconnected(peer: NodeId): void {
    for (const reports of this.#reports.values()) reports.delete(peer);
  }

  /** The state was replaced: what was found about it is of the past. */
  restored(): void {
    this.#reports.clear();
    this.#newestOwn = NO_INDEX;
    this.#divergence = null;
  }

  #record(node: NodeId, { index, digest }: DigestReport): void {
    const known = this.#reports.get(index);
    if (known !== undefined) known.set(node, digest);
    else this.#reports.set(index, new Map([[node, digest]]));
    // Far ahead of this node or long behind it: there are never more than the voters still talk about.
    if (this.#reports.size > 2 * KEPT_REPORTS) this.#reports.delete(Math.min(...this.#reports.keys()) as LogIndex);
  }

  #judge(index: LogIndex, voters: readonly NodeId[]): void {
    const all = this.#reports.get(index);
    // A newer finding stands, and what this node has not reached it cannot compare.
    if (all === undefined || !all.has(this.#self) || index < (this.#divergence?.index ?? NO_INDEX)) return;
    const reports = new Map([...all].filter(([node]) => voters.includes(node)));
    if (new Set(reports.values()).size > 1) {
      const agreed = majorityOf(reports, voters.length);
      // Without a majority nothing is taken back: a voter that was found out stays so while its accusers are away.
      const odd =
        agreed === null
          ? (this.#divergence?.odd ?? [])
          : [...reports].filter(([, digest]) => digest !== agreed).map(([node]) => node);
      this.#divergence = { index, odd, reports };
    } else if (this.#divergence !== null && index > this.#divergence.index && reports.size === voters.length) {
      this.#divergence = null;
    }
  }
}

function majorityOf(reports: ReadonlyMap<NodeId, string>, voters: number): string | null {
  const counts = new Map<string, number>();
  for (const digest of reports.values()) counts.set(digest, (counts.get(digest) ?? 0) + 1);
  for (const [digest, count] of counts) if (count > voters / 2) return digest;
  return null;
}
