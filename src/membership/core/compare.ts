import { assertNever, type MonotonicMs, type NodeId } from "#kernel";
import type { HttpPollEvent } from "./http-poll/types.ts";
import type { MemberRecord, SwimEvent } from "./swim/types.ts";

export type Detector = "swim" | "http";

/** What a detector holds of a member, as far as the two can be compared. `gone`: it left or was removed; no verdict at all. */
export type Opinion = "alive" | "suspect" | "dead" | "gone";

export interface Statement {
  readonly id: NodeId;
  readonly opinion: Opinion;
  /** The life it is about, where the event tells it. */
  readonly boot: string | null;
}

export interface DetectorFigures {
  readonly suspicions: number;
  readonly deaths: number;
  /** Deaths after which the member was heard in the very same life. */
  readonly falseDeaths: number;
  /** Deaths after which it was heard, and nothing told in which life. Neither true nor false. */
  readonly unclearDeaths: number;
  /** From the last sign of life, whoever heard it, to the verdict; deaths that were not false. Null without any. */
  readonly detection: { readonly samples: number; readonly p50Ms: number; readonly p99Ms: number } | null;
  readonly messages: number;
}

export interface Disagreement {
  readonly id: NodeId;
  readonly swim: Opinion;
  readonly http: Opinion;
  readonly since: MonotonicMs;
}

/** ADR-013, phase 1: both detectors over the same cluster and time. */
export interface ComparisonView {
  readonly forMs: number;
  readonly swim: DetectorFigures;
  readonly http: DetectorFigures;
  /** Deaths that both found, and by how much SWIM was earlier (median; negative: later). */
  readonly foundByBoth: number;
  readonly swimLeadMs: number | null;
  /** Times that one held a member dead and the other did not, and for how long in all. */
  readonly disagreements: number;
  readonly disagreedMs: number;
  /** Those that last. */
  readonly open: readonly Disagreement[];
}

interface Verdict {
  readonly at: MonotonicMs;
  /** Null: the member was never heard, so nothing tells when it fell silent. */
  readonly silentMs: number | null;
  /** The life that was declared over. */
  readonly boot: string | null;
}

interface Subject {
  heardAt: MonotonicMs | null;
  boot: string | null;
  readonly opinions: Record<Detector, Opinion | null>;
  /** Verdicts that nothing has confirmed or refuted yet. */
  readonly verdicts: Record<Detector, Verdict | null>;
  differSince: MonotonicMs | null;
}

interface Tally {
  suspicions: number;
  deaths: number;
  falseDeaths: number;
  unclearDeaths: number;
  messages: number;
  /** Of deaths that turned out true; the newest, at most {@link SAMPLES}. */
  readonly detectionMs: number[];
}

const SAMPLES = 1_000;
const detectors: readonly Detector[] = ["swim", "http"];

/**
 * Two detectors side by side (membership mode `hybrid`). Nobody knows the truth at run time, so a death is judged by what comes
 * after it: a sign of life in the same boot makes it false, one in another boot makes it true, and silence leaves it standing.
 */
export class Comparison {
  readonly #start: MonotonicMs;
  readonly #subjects = new Map<NodeId, Subject>();
  readonly #tallies: Readonly<Record<Detector, Tally>> = { swim: newTally(), http: newTally() };
  readonly #leadsMs: number[] = [];
  #disagreements = 0;
  #disagreedMs = 0;

  constructor(now: MonotonicMs) {
    this.#start = now;
  }

  /**
   * An ack or an answer of the member itself, to whichever detector; told before the event that it causes. `boot` names its
   * life, the same way in both detectors (SWIM's boot epoch): null when it did not say.
   */
  heard(now: MonotonicMs, id: NodeId, boot: string | null): void {
    const subject = this.#subject(id);
    const found = detectors.map((detector) => this.#judge(subject, detector, boot));
    const [swim, http] = found;
    if (swim && http) keep(this.#leadsMs, http.at - swim.at);
    subject.heardAt = now;
    subject.boot = boot ?? subject.boot;
  }

  /** A detector's new opinion; {@link statementOfSwim} and {@link statementOfHttp} read it off the events. */
  report(now: MonotonicMs, detector: Detector, { id, opinion, boot }: Statement): void {
    // A refutation that came by gossip is a sign of life too: nobody else can raise a member's incarnation.
    if (opinion === "alive") this.heard(now, id, boot);
    const subject = this.#subject(id);
    const before = subject.opinions[detector];
    if (before === opinion) return;
    subject.opinions[detector] = opinion;
    const tally = this.#tallies[detector];
    if (opinion === "suspect") tally.suspicions++;
    if (opinion === "dead") {
      tally.deaths++;
      const silentMs = subject.heardAt === null ? null : now - subject.heardAt;
      subject.verdicts[detector] = { at: now, silentMs, boot: subject.boot };
    }
    this.#compare(now, subject);
    if (detectors.every((each) => subject.opinions[each] === "gone")) this.#subjects.delete(id);
  }

  /** Nobody else is known to either detector any more: what was found about those is settled, and they are forgotten. */
  retain(now: MonotonicMs, known: ReadonlySet<NodeId>): void {
    for (const [id, { verdicts, differSince }] of this.#subjects) {
      if (known.has(id)) continue;
      for (const detector of detectors) {
        const silentMs = verdicts[detector]?.silentMs ?? null;
        if (silentMs !== null) keep(this.#tallies[detector].detectionMs, silentMs);
      }
      if (verdicts.swim !== null && verdicts.http !== null) keep(this.#leadsMs, verdicts.http.at - verdicts.swim.at);
      if (differSince !== null) this.#disagreedMs += now - differSince;
      this.#subjects.delete(id);
    }
  }

  /** Messages that a detector has sent since its start: datagrams and stream frames, or requests. */
  countMessages(detector: Detector, total: number): void {
    this.#tallies[detector].messages = total;
  }

  view(now: MonotonicMs): ComparisonView {
    const subjects = [...this.#subjects];
    const standing = subjects.flatMap(
      ([
        ,
        {
          verdicts: { swim, http },
        },
      ]) => (swim && http ? [http.at - swim.at] : []),
    );
    const leads = [...this.#leadsMs, ...standing];
    const open = subjects.flatMap(([id, { opinions, differSince }]): readonly Disagreement[] => {
      const { swim, http } = opinions;
      return differSince === null || swim === null || http === null ? [] : [{ id, swim, http, since: differSince }];
    });
    return {
      forMs: now - this.#start,
      swim: this.#figures("swim"),
      http: this.#figures("http"),
      foundByBoth: leads.length,
      swimLeadMs: quantile(leads, 0.5),
      disagreements: this.#disagreements,
      disagreedMs: open.reduce((sum, { since }) => sum + (now - since), this.#disagreedMs),
      open: open.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    };
  }

  #subject(id: NodeId): Subject {
    const known = this.#subjects.get(id);
    if (known !== undefined) return known;
    const subject: Subject = {
      heardAt: null,
      boot: null,
      opinions: { swim: null, http: null },
      verdicts: { swim: null, http: null },
      differSince: null,
    };
    this.#subjects.set(id, subject);
    return subject;
  }

  /** Closes a detector's verdict by a sign of life; returns it when it was true. */
  #judge({ verdicts }: Subject, detector: Detector, boot: string | null): Verdict | null {
    const verdict = verdicts[detector];
    if (verdict === null) return null;
    verdicts[detector] = null;
    const tally = this.#tallies[detector];
    if (boot === null || verdict.boot === null) tally.unclearDeaths++;
    else if (boot === verdict.boot) tally.falseDeaths++;
    else {
      if (verdict.silentMs !== null) keep(tally.detectionMs, verdict.silentMs);
      return verdict;
    }
    return null;
  }

  #compare(now: MonotonicMs, subject: Subject): void {
    const { swim, http } = subject.opinions;
    const comparable = swim !== null && http !== null && swim !== "gone" && http !== "gone";
    const differ = comparable && (swim === "dead") !== (http === "dead");
    if (differ === (subject.differSince !== null)) return;
    if (subject.differSince !== null) {
      this.#disagreedMs += now - subject.differSince;
      subject.differSince = null;
      return;
    }
    this.#disagreements++;
    subject.differSince = now;
  }

  #figures(detector: Detector): DetectorFigures {
    const { detectionMs, ...counts } = this.#tallies[detector];
    const standing = [...this.#subjects.values()].flatMap(({ verdicts }) => verdicts[detector]?.silentMs ?? []);
    const all = [...detectionMs, ...standing];
    const [p50Ms, p99Ms] = [quantile(all, 0.5), quantile(all, 0.99)];
    const detection = p50Ms === null || p99Ms === null ? null : { samples: all.length, p50Ms, p99Ms };
    return { ...counts, detection };
  }
}

/** Null for events that are no opinion about a member. */
export function statementOfSwim(event: SwimEvent): Statement | null {
  switch (event.kind) {
    case "joined":
    case "refuted":
    case "recovered":
      return ofMember(event.member, "alive");
    case "suspected":
      return ofMember(event.member, "suspect");
    case "died":
      return ofMember(event.member, "dead");
    case "left":
    case "removed":
      return ofMember(event.member, "gone");
    default:
      return null;
  }
}

function ofMember({ id, incarnation }: MemberRecord, opinion: Opinion): Statement {
  return { id, opinion, boot: String(incarnation.epoch) };
}

/** Null for events that are no opinion about a peer. */
export function statementOfHttp(event: HttpPollEvent): Statement | null {
  const { id } = event;
  switch (event.kind) {
    case "joined":
    case "refuted":
    case "recovered":
      return { id, opinion: "alive", boot: null };
    case "suspected":
      return { id, opinion: "suspect", boot: null };
    case "died":
      return { id, opinion: "dead", boot: null };
    case "removed":
      return { id, opinion: "gone", boot: null };
    case "restarted":
    case "address-changed":
    case "wrong-node":
      return null;
    default:
      return assertNever(event, "polling event");
  }
}

function newTally(): Tally {
  return { suspicions: 0, deaths: 0, falseDeaths: 0, unclearDeaths: 0, messages: 0, detectionMs: [] };
}

function keep(samples: number[], sample: number): void {
  samples.push(sample);
  if (samples.length > SAMPLES) samples.shift();
}

/** Nearest rank. */
function quantile(values: readonly number[], at: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(at * sorted.length) - 1)] ?? null;
}
