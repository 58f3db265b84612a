import { assertNever, invariant, type MonotonicMs, type NodeId, compareIncarnations, type Incarnation } from "#kernel";
import { isContested, Rivals, sameAddresses } from "./conflict.ts";
import { RunningDigest } from "./digest.ts";
import { incarnationAbove, nextIncarnation } from "./incarnation.ts";
import { MemberNumbers } from "./member-numbers.ts";
import type { SwimOptions } from "./options.ts";
import { comparePrecedence, isPresent } from "./precedence.ts";
import { Tombstones } from "./tombstone.ts";
import type { Digest, MemberRecord, MemberState } from "./types.ts";

/**
 * How a statement came: `gossip` is news (or this node's own verdict), `sync` is what a peer holds, however old, and
 * `first-hand` is a member's word about itself in a packet of its own.
 */
export type Via = "gossip" | "sync" | "first-hand";

/**
 * - `joined`: not known before. `suspected`, `died`, `left`, `removed`: the state it is in now.
 * - `refuted`: alive after suspect. `recovered`: present after dead, left or removed; perhaps as a suspect.
 * - `renewed`: alive as before, with a newer word about itself: see `readdressed` and the metadata.
 * - `buried`: it is as absent as before, only the tombstone is newer. Nobody is told upward.
 */
export type Change = "joined" | "suspected" | "refuted" | "recovered" | "renewed" | "died" | "left" | "removed" | "buried";

/** What a statement did. One place turns it into gossip, events and timers; the table itself does none of that. */
export type ApplySummary =
  | {
      readonly kind: "changed";
      readonly change: Change;
      readonly before: MemberRecord | null;
      readonly after: MemberRecord;
      /** It was known under other addresses. An update of one member, not the leaving of one and joining of another. */
      readonly readdressed: boolean;
      /** Whether it is to be probed from now on, or no more; null: as before. */
      readonly presence: "appeared" | "vanished" | null;
      /** Worth passing on. A joiner that receives its first full sync passes nothing on, whatever this says. */
      readonly gossip: boolean;
    }
  /** Another accuser of the same incarnation: for `Suspicion.confirm`, and to be passed on if that counts it. */
  | { readonly kind: "confirmed"; readonly member: MemberRecord; readonly accuser: NodeId }
  | { readonly kind: "known" }
  /** `tell`: send `held` back, its subject says something about itself that is overruled. */
  | { readonly kind: "outdated"; readonly held: MemberRecord; readonly tell: boolean }
  /** Two processes claim one name; nothing is changed. Tell each claimant of the other. */
  | { readonly kind: "contested"; readonly held: MemberRecord; readonly claimed: MemberRecord }
  /** About this node, and wrong: `claim` this incarnation and gossip. Not raised: what others hold is old, repeat yourself. */
  | { readonly kind: "refute"; readonly incarnation: Incarnation; readonly raised: boolean; readonly seen: MemberRecord }
  /** About this node: a rival that was outbid claims the name again. Fall silent. */
  | { readonly kind: "yield"; readonly rival: MemberRecord }
  /** The operator forgot this node. Its own record says so now; it claims nothing until it is readmitted (then: `refute`). */
  | { readonly kind: "removed-self"; readonly self: MemberRecord }
  /** `full`: `maxMembers` are known. `long-dead`: a tombstone that this node never had or has already forgotten. */
  | { readonly kind: "refused"; readonly why: "full" | "long-dead" };

/**
 * What this node holds of every member, itself included. Of each it keeps the statement of highest precedence
 * (precedence.ts), so views of nodes that heard the same are the same. Each operation takes constant time.
 */
export class MemberTable {
  readonly #maxMembers: number;
  readonly #numbers: MemberNumbers;
  /** By number. */
  readonly #records: (MemberRecord | undefined)[];
  /** By number: when the member came into its present state. Those that were entered have been in it since the start. */
  readonly #since = new Map<number, MonotonicMs>();
  readonly #startedAt: MonotonicMs;
  #size = 0;
  readonly #counts: Record<MemberState, number> = { alive: 0, suspect: 0, dead: 0, left: 0, removed: 0 };
  readonly #digest = new RunningDigest();
  readonly #tombstones: Tombstones;
  readonly #rivals = new Rivals();
  #self: MemberRecord;

  /** `room`: for so many members from the start. */
  constructor(
    now: MonotonicMs,
    self: MemberRecord,
    options: Pick<SwimOptions, "tombstoneMs" | "maxMembers">,
    numbers: MemberNumbers = new MemberNumbers(),
    room = 0,
  ) {
    this.#numbers = numbers;
    this.#records = Array.from({ length: room });
    this.#startedAt = now;
    this.#maxMembers = options.maxMembers;
    this.#tombstones = new Tombstones(options.tombstoneMs);
    this.#self = self;
    this.#put(now, null, self);
  }

  get self(): MemberRecord {
    return this.#self;
  }

  get digest(): Digest {
    return this.#digest.value;
  }

  /** Everyone known, the tombstones and this node included. */
  get size(): number {
    return this.#size;
  }

  /** Alive and suspect, this node included: the n of every formula. */
  get present(): number {
    return this.#counts.alive + this.#counts.suspect;
  }

  count(state: MemberState): number {
    return this.#counts[state];
  }

  get(id: NodeId): MemberRecord | null {
    const number = this.#numbers.of(id);
    return number === undefined ? null : (this.#records[number] ?? null);
  }

  /** Since when the member is in its present state; null when it is not known. */
  since(id: NodeId): MonotonicMs | null {
    const number = this.#numbers.of(id);
    if (number === undefined || this.#records[number] === undefined) return null;
    return this.#since.get(number) ?? this.#startedAt;
  }

  /** Everyone known, in no order; what a full sync sends. */
  records(): MemberRecord[] {
    return this.#records.filter((record) => record !== undefined);
  }

  /**
   * This node's word about itself, always under a new incarnation; `incarnation` as a `refute` asked for it. An epoch
   * above the one before is to be made durable.
   */
  claim(
    now: MonotonicMs,
    changes: OwnChanges = {},
    incarnation: Incarnation = nextIncarnation(this.#self.incarnation),
  ): MemberRecord {
    const before = this.#self;
    invariant(
      compareIncarnations(incarnation, before.incarnation) > 0,
      `${before.id} claims ${incarnation.epoch}.${incarnation.counter} after ${before.incarnation.epoch}.${before.incarnation.counter}`,
    );
    return this.#put(now, before, { ...before, ...changes, incarnation, state: "alive", accuser: null });
  }

  /** This node's goodbye. It refutes nothing any more. */
  leave(now: MonotonicMs): MemberRecord {
    return this.#put(now, this.#self, { ...this.#self, state: "left", accuser: this.#self.id });
  }

  /** Takes over, as it stands, what was known at the start of a member that is not known here. */
  enter(record: MemberRecord): void {
    this.#put(this.#startedAt, null, record);
  }

  apply(now: MonotonicMs, seen: MemberRecord, via: Via): ApplySummary {
    if (seen.id === this.#self.id) return this.#applyToSelf(now, seen);
    const held = this.get(seen.id);
    return held === null ? this.#applyToUnknown(now, seen, via) : this.#applyToKnown(now, held, softened(seen, held, via), via);
  }

  /** Forgets the dead and the left whose time is over, and says whom. */
  expire(now: MonotonicMs): NodeId[] {
    const over = this.#tombstones.expire(now);
    for (const id of over) {
      const number = this.#numbers.of(id)!;
      this.#counts[this.#records[number]!.state] -= 1;
      this.#records[number] = undefined;
      this.#since.delete(number);
      this.#size -= 1;
      this.#numbers.release(number);
    }
    return over;
  }

  get nextExpiry(): MonotonicMs | null {
    return this.#tombstones.nextExpiry;
  }

  #applyToUnknown(now: MonotonicMs, seen: MemberRecord, via: Via): ApplySummary {
    // Nodes forget the dead at different times: taken from a sync, a tombstone would pass from one to the other for ever.
    if (via === "sync" && (seen.state === "dead" || seen.state === "left")) return { kind: "refused", why: "long-dead" };
    if (this.size >= this.#maxMembers) return { kind: "refused", why: "full" };
    return this.#change(now, null, seen);
  }

  #applyToKnown(now: MonotonicMs, held: MemberRecord, seen: MemberRecord, via: Via): ApplySummary {
    if (isContested(held, seen)) return { kind: "contested", held, claimed: seen };
    const precedence = comparePrecedence(seen, held);
    if (precedence > 0) return this.#change(now, held, graver(seen, held));
    if (precedence === 0) {
      const confirms = seen.state === "suspect" && seen.accuser !== null && seen.accuser !== held.accuser;
      return confirms ? { kind: "confirmed", member: held, accuser: seen.accuser } : { kind: "known" };
    }
    // A restarted node that lost its state says alive@1 while dead@100 is remembered: unless told, it stays dead for good
    // (memberlist#311). Nobody but the member is told: others would take an old verdict of ours, made while this node was cut
    // off perhaps, for news. They overrule it by what the member answers.
    return { kind: "outdated", held, tell: via === "first-hand" };
  }

  #applyToSelf(now: MonotonicMs, seen: MemberRecord): ApplySummary {
    const own = this.#self;
    const age = compareIncarnations(seen.incarnation, own.incarnation);
    const raised = {
      kind: "refute",
      incarnation: incarnationAbove(seen.incarnation, own.incarnation),
      raised: true,
      seen,
    } as const;
    const repeated = { kind: "refute", incarnation: own.incarnation, raised: false, seen } as const;
    // At the end of the number space nothing stands above: nobody gets there honestly, and nothing said there can be refuted.
    const final = age >= 0 && compareIncarnations(raised.incarnation, seen.incarnation) <= 0 && seen.state !== "removed";
    if (own.state === "left" || final) return { kind: "known" };
    if (own.state === "removed") return age > 0 && seen.state === "left" ? raised : { kind: "known" };
    switch (seen.state) {
      case "alive":
        // An older word, or this one, comes back to its speaker all the time.
        if (age < 0 || (age === 0 && sameAddresses(seen.addresses, own.addresses))) return { kind: "known" };
        return this.#rivals.judge(own, seen) === "outbid" ? raised : { kind: "yield", rival: seen };
      case "suspect":
      case "dead":
      case "left":
        return age < 0 ? repeated : raised;
      case "removed":
        if (age < 0) return repeated;
        return { kind: "removed-self", self: this.#put(now, own, graver(seen, own)) };
      default:
        return assertNever(seen.state, "member state");
    }
  }

  #change(now: MonotonicMs, before: MemberRecord | null, after: MemberRecord): ApplySummary {
    this.#put(now, before, after);
    const change = changeOf(before, after);
    const [wasPresent, present] = [before !== null && isPresent(before), isPresent(after)];
    return {
      kind: "changed",
      change,
      before,
      after,
      readdressed: before !== null && !sameAddresses(before.addresses, after.addresses),
      presence: wasPresent === present ? null : present ? "appeared" : "vanished",
      gossip: before !== null || change !== "buried",
    };
  }

  #put(now: MonotonicMs, before: MemberRecord | null, after: MemberRecord): MemberRecord {
    const number = before === null ? this.#enter(after.id) : this.#numbers.of(after.id)!;
    this.#records[number] = after;
    if (before?.state !== after.state && now !== this.#startedAt) this.#since.set(number, now);
    if (before !== null) this.#counts[before.state] -= 1;
    this.#counts[after.state] += 1;
    this.#digest.replace(before, after);
    if (after.id === this.#self.id) this.#self = after;
    else if (after.state === "dead" || after.state === "left") this.#tombstones.bury(now, after.id);
    else this.#tombstones.raise(after.id);
    return after;
  }

  #enter(id: NodeId): number {
    const number = this.#numbers.hold(id);
    // Without gaps the arrays stay what the engine is quick with.
    while (this.#records.length < number) this.#records.push(undefined);
    this.#size += 1;
    return number;
  }
}

/** What a member may change about itself. */
export type OwnChanges = Partial<Pick<MemberRecord, "addresses" | "reach" | "relays" | "metadata">>;

/**
 * A peer's view of the dead may be old, or its side of a cut network: in a full sync its `dead` is only a suspicion of what is
 * present here, so that the member can refute it. (Else a healed partition would kill everyone once more.)
 */
function softened(seen: MemberRecord, held: MemberRecord, via: Via): MemberRecord {
  return via === "sync" && seen.state === "dead" && isPresent(held) ? { ...seen, state: "suspect" } : seen;
}

/** Within one incarnation the member's own description stands, and only the verdict is taken over. */
function graver(seen: MemberRecord, held: MemberRecord): MemberRecord {
  return compareIncarnations(seen.incarnation, held.incarnation) === 0
    ? { ...held, state: seen.state, accuser: seen.accuser }
    : seen;
}

function changeOf(before: MemberRecord | null, after: MemberRecord): Change {
  switch (after.state) {
    case "alive":
      if (before === null) return "joined";
      if (before.state === "alive") return "renewed";
      return before.state === "suspect" ? "refuted" : "recovered";
    case "suspect":
      if (before === null) return "joined";
      return isPresent(before) ? "suspected" : "recovered";
    case "dead":
      return before === null || before.state === "dead" ? "buried" : "died";
    case "left":
      return before === null || before.state === "left" || before.state === "removed" ? "buried" : "left";
    case "removed":
      return before === null || before.state === "removed" ? "buried" : "removed";
    default:
      return assertNever(after.state, "member state");
  }
}
