import { MonotonicMs, compareIncarnations, type Incarnation } from "#kernel";
import { sameAddresses } from "./conflict.ts";
import { fallSilent } from "./leave.ts";
import { isPlausible } from "./incarnation.ts";
import type { OwnChanges } from "./member-table.ts";
import type { Packet } from "./message.ts";
import { isPresent } from "./precedence.ts";
import { sendFrame } from "./send.ts";
import type { SwimState } from "./state.ts";
import { closeStream, openStream, type Stream } from "./streams.ts";
import type { Address, MemberRecord, StreamId } from "./types.ts";

/** Members asked in one round, beside the seeds and the rival. */
const ASKED_AT_ONCE = 3;
/** Where there is nobody but the rival to ask, it is silent for this many rounds before it counts as gone. */
const SILENT_ROUNDS = 3;

/**
 * A node that is not a member against its will: it gave way to a rival, or the operator removed it. It says nothing of
 * itself, but asks from time to time who holds its name; else a name whose holder has died would be nobody's for ever, and so
 * would that of a node that took an old word about itself for a rival.
 */
export class Dormancy {
  readonly cause: "conflicted" | "removed";
  readonly rival: MemberRecord | null;
  /** Said to this node by its process meanwhile; holds from the next life on. */
  changes: OwnChanges = {};
  /** Nothing stands against another life any more. */
  isOver = false;
  /** The highest under which anybody goes by this name. */
  highest: Incarnation;
  #attempt = 0;
  #answered = false;
  #isTaken = false;
  #isReadmitted = false;
  #silentRounds = 0;

  constructor(own: MemberRecord, rival: MemberRecord | null) {
    this.cause = rival === null ? "removed" : "conflicted";
    this.rival = rival;
    this.highest = own.incarnation;
    if (rival !== null) this.#note(rival.incarnation);
  }

  get attempt(): number {
    return this.#attempt;
  }

  begin(): void {
    this.#attempt += 1;
    this.#answered = false;
    this.#isTaken = false;
    this.#isReadmitted = false;
  }

  /** A full view of somebody else was read to its end. */
  answered(): void {
    this.#answered = true;
  }

  /** What somebody holds of this name. */
  hear(own: MemberRecord, held: MemberRecord): void {
    // What others remember of this very node is no rival. One that gives this node's own addresses is told apart by its staying.
    const isOurs = sameAddresses(held.addresses, own.addresses) && this.rival?.addresses.join() !== own.addresses.join();
    if (isPresent(held) && !isOurs) this.#isTaken = true;
    if (held.state === "left" && compareIncarnations(held.incarnation, own.incarnation) > 0) this.#isReadmitted = true;
    this.#note(held.incarnation);
  }

  /** Silence of all others tells nothing: this node may be cut off. */
  end(othersAsked: boolean): void {
    if (this.#isTaken) {
      this.#silentRounds = 0;
    } else if (this.cause === "removed") {
      this.isOver = this.#isReadmitted;
    } else if (othersAsked) {
      this.isOver = this.#answered;
    } else {
      this.#silentRounds += 1;
      this.isOver = this.#silentRounds >= SILENT_ROUNDS;
    }
  }

  #note(incarnation: Incarnation): void {
    if (compareIncarnations(incarnation, this.highest) > 0) this.highest = incarnation;
  }
}

/** `rival`: who keeps the name; null: the operator took it. */
export function fallDormant(state: SwimState, rival: MemberRecord | null): void {
  const dormancy = new Dormancy(state.members.self, rival);
  fallSilent(state, dormancy.cause);
  state.dormancy = dormancy;
  rest(state, dormancy);
}

/** Asks for full views, and tells nothing. The rival, met under its own name, answers with its claim. */
export function enquire(state: SwimState): void {
  const { dormancy, options } = state;
  if (dormancy === null) return;
  dormancy.begin();
  const places = new Set([...(dormancy.rival?.addresses ?? []), ...othersPlaces(state, dormancy)]);
  for (const to of places) openStream(state, to, options.streamTimeoutMs, { kind: "enquiry" });
  state.timers.set(MonotonicMs(state.now + options.streamTimeoutMs), { kind: "enquiry-over" });
}

export function sendEnquiry(state: SwimState, stream: StreamId): void {
  sendFrame(state, stream, [{ kind: "push-pull", reply: false, joining: true, more: false, records: [] }]);
}

export function handleEnquiryAnswer(state: SwimState, stream: Stream, packet: Packet): void {
  const { dormancy, members, id } = state;
  if (dormancy === null) return;
  for (const message of packet.messages) {
    const records = message.kind === "member" ? [message.record] : message.kind === "push-pull" ? message.records : [];
    for (const record of records) {
      if (record.id !== id) continue;
      if (isPlausible(record.incarnation, members.self.incarnation)) dormancy.hear(members.self, record);
      else state.reject("implausible", stream.peer);
    }
    if (message.kind !== "push-pull" || message.more) continue;
    dormancy.answered();
    closeStream(state, stream.id);
  }
}

export function enquiryOver(state: SwimState): void {
  const { dormancy } = state;
  if (dormancy === null) return;
  dormancy.end(othersPlaces(state, dormancy).length > 0);
  if (!dormancy.isOver) rest(state, dormancy);
}

/** A rival may die at any time; a removal is seldom taken back. */
function rest(state: SwimState, { cause, attempt }: Dormancy): void {
  const { reconnectMinMs, reconnectMaxMs, joinBackoffMaxMs } = state.options;
  const longestMs = cause === "conflicted" ? joinBackoffMaxMs : reconnectMaxMs;
  const pauseMs = Math.min(longestMs, reconnectMinMs * 2 ** attempt) * (0.5 + state.random() / 2);
  state.timers.set(MonotonicMs(state.now + pauseMs), { kind: "enquire" });
}

function othersPlaces(state: SwimState, { rival }: Dormancy): readonly Address[] {
  const { members, order, seeds } = state;
  const strange = (address: Address): boolean =>
    !members.self.addresses.includes(address) && rival?.addresses.includes(address) !== true;
  const drawn = order.sample(ASKED_AT_ONCE, () => true).map((id) => members.get(id)!);
  const known = drawn.map((member) => state.path(member.id).preferred(member.addresses)).filter((address) => address !== null);
  return [...known, ...seeds.flatMap(({ addresses }) => addresses)].filter(strange);
}
