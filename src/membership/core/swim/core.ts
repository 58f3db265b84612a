import { accepted, assertNever, MonotonicMs, type NodeId, type Outcome, refusal, refused } from "#kernel";
import { createAllowList } from "./allow-list.ts";
import { obey, recall } from "./command.ts";
import { pushPullIntervalMs } from "./derived.ts";
import { type Dormancy, enquire, enquiryOver, handleEnquiryAnswer, sendEnquiry } from "./dormant.ts";
import { isLabel } from "./envelope.ts";
import { gossipTick } from "./gossip.ts";
import { reportSilence } from "./help.ts";
import { epochAbove } from "./incarnation.ts";
import { askSeeds, heal, join } from "./join.ts";
import { Keyring } from "./keyring.ts";
import { calm, reap, suspicionDue } from "./learn.ts";
import { fallSilent, goIfSaid } from "./leave.ts";
import { isPresent } from "./precedence.ts";
import { pingTo } from "./ping.ts";
import { beginPeriod, probeTimedOut } from "./probe.ts";
import { periodicPushPull, recheck, sendPushPull } from "./push-pull.ts";
import { whyNotRecord } from "./record-codec.ts";
import { handlePacket } from "./receive.ts";
import { reconnect } from "./reconnect.ts";
import { askForRelay, settleDoubt, tendPaths } from "./relay.ts";
import { sendFrame } from "./send.ts";
import type { SwimSetup } from "./setup.ts";
import { SwimState } from "./state.ts";
import { acceptStream, closeStream, endStream, forgetStream, proveStream } from "./streams.ts";
import { askSuspect } from "./suspecting.ts";
import { isVerdict, type Timer } from "./timers.ts";
import type {
  Address,
  Digest,
  MemberRecord,
  MembershipView,
  Seed,
  StreamId,
  SwimCommand,
  SwimCore,
  SwimCounters,
  SwimEvent,
  Transmission,
} from "./types.ts";
import { viewOf } from "./view.ts";

/** A member that starts to join by its seeds at once. Refused: keys, label, networks or patterns that cannot be used. */
export function createSwim(now: MonotonicMs, setup: SwimSetup): Outcome<SwimCore> {
  if (!isLabel(setup.label)) {
    const shown = JSON.stringify(setup.label);
    return refused(refusal("INVALID_ARGUMENT", `the cluster label must be 1 to 64 printable ASCII characters, got ${shown}`));
  }
  const keyring = Keyring.of(setup.aead, setup.keys);
  if (!keyring.ok) return keyring;
  const allow = createAllowList(setup.allow);
  if (!allow.ok) return allow;
  const state = new SwimState(now, setup, { keyring: keyring.value, allow: allow.value });
  const wrong = whyNotRecord(state.members.self, state.wire.recordRoom);
  if (wrong !== null) return refused(refusal("INVALID_ARGUMENT", wrong));
  enter(state, setup.members ?? []);
  return accepted(new Swim(state, setup));
}

/** Where inputs come in and effects go out; what they mean stands in the parts. */
class Swim implements SwimCore {
  readonly #setup: SwimSetup;
  /** Another one in another life. */
  #state: SwimState;

  constructor(state: SwimState, setup: SwimSetup) {
    this.#setup = setup;
    this.#state = state;
    begin(state, setup.seeds);
  }

  get nextDeadline(): MonotonicMs | null {
    this.#state.timers.skip(this.#isMoot);
    return this.#state.timers.next;
  }

  get present(): number {
    return this.#state.members.present;
  }

  get digest(): Digest {
    return this.#state.members.digest;
  }

  get counters(): SwimCounters {
    return this.#state.counters;
  }

  record(id: NodeId): MemberRecord | null {
    return this.#state.members.get(id);
  }

  handleDatagram(now: MonotonicMs, from: Address, bytes: Uint8Array): void {
    const state = this.#at(now);
    if (state.isSilent) return;
    state.counters.datagramsReceived += 1;
    state.counters.bytesReceived += bytes.length;
    if (!state.allow.allowsAddress(from)) return state.reject("not-allowed", from);
    const read = state.wire.openDatagram(now, from, bytes);
    if (read.ok) handlePacket(state, read.packet, { kind: "datagram", from });
    else state.reject(read.reason, from);
  }

  handleStreamOpened(now: MonotonicMs, id: StreamId, from: Address): void {
    const state = this.#at(now);
    const stream = state.streams.get(id);
    if (stream === undefined) {
      // An own stream that was given up while it opened, or one that nobody here takes any more.
      const isOwn = id % 2 === 1;
      const isAllowed = isOwn || state.allow.allowsAddress(from);
      if (!isAllowed) state.reject("not-allowed", from);
      if (isOwn || !isAllowed || state.isSilent) state.transmissions.push({ kind: "close-stream", stream: id });
      else acceptStream(state, id, from);
      return;
    }
    const { use } = stream;
    if (use.kind === "enquiry") return sendEnquiry(state, id);
    if (use.kind === "push-pull") return sendPushPull(state, id, false);
    if (use.kind === "uplink") return askForRelay(state, stream);
    const target = use.kind === "probe" ? state.members.get(use.target) : null;
    if (use.kind === "probe" && target !== null) sendFrame(state, id, pingTo(state, target, use.probe));
  }

  handleStreamBytes(now: MonotonicMs, id: StreamId, bytes: Uint8Array): void {
    const state = this.#at(now);
    const stream = state.streams.get(id);
    if (stream === undefined) return;
    stream.heardAt = now;
    stream.unanswered = 0;
    stream.bytesRead += bytes.length;
    state.counters.bytesReceived += bytes.length;
    for (const read of state.wire.openFrames(id, bytes)) {
      if (!state.streams.has(id)) return;
      if (read.ok) proveStream(state, stream);
      if (read.ok && stream.use.kind === "enquiry") {
        handleEnquiryAnswer(state, stream, read.packet);
      } else if (read.ok) {
        handlePacket(state, read.packet, { kind: "stream", stream: id });
      } else {
        state.reject(read.reason, stream.peer);
        closeStream(state, id);
      }
    }
  }

  handleStreamClosed(now: MonotonicMs, id: StreamId, failed: boolean): void {
    const state = this.#at(now);
    const stream = state.streams.get(id);
    if (stream === undefined) return;
    // Another address of the same member may be open.
    if (failed && stream.use.kind === "push-pull" && stream.use.peer !== null) state.path(stream.use.peer).silent();
    forgetStream(state, stream);
  }

  handleTimeout(now: MonotonicMs): void {
    const state = this.#at(now);
    const { timers, options } = state;
    timers.skip(this.#isMoot);
    const lateMs = timers.next === null ? 0 : now - timers.next;
    if (lateMs > options.verdictSlackMs) noteStall(state, lateMs);
    const waiting: Timer[] = [];
    for (let due = timers.take(now); due !== null; due = timers.take(now)) {
      const isLate = now - due.at > options.verdictSlackMs;
      if (isLate && isVerdict(due.timer) && !state.postponed.has(due.timer)) waiting.push(due.timer);
      else handleTimer(state, due.timer);
    }
    // Due again at once, and put off only once: by then the driver has read its sockets, however slowly it turns.
    state.postponed = waiting.length === 0 ? NONE_WAITS : new Set(waiting);
    if (!state.isSilent) for (const timer of waiting) timers.set(now, timer);
    if (state.dormancy?.isOver === true) this.#state = nextLife(state, state.dormancy, this.#setup);
  }

  command(now: MonotonicMs, command: SwimCommand): Outcome<void> {
    return obey(this.#at(now), command);
  }

  takeTransmissions(): readonly Transmission[] {
    return taken(this.#state.transmissions);
  }

  takeEvents(): readonly SwimEvent[] {
    return taken(this.#state.events);
  }

  view(now: MonotonicMs): MembershipView {
    return viewOf(this.#at(now));
  }

  readonly #isMoot = (timer: Timer): boolean => {
    const { probe, helps } = this.#state;
    if (timer.kind === "probe-timeout") return probe === null || probe.number !== timer.probe || probe.answered;
    return (timer.kind === "help-nack" || timer.kind === "help-over") && !helps.has(timer.probe);
  };

  #at(now: MonotonicMs): SwimState {
    this.#state.now = now;
    return this.#state;
  }
}

/** All of them. After most inputs there are none, and then nothing is made. */
function taken<T>(queue: T[]): readonly T[] {
  return queue.length === 0 ? NOTHING : queue.splice(0);
}

const NOTHING: readonly never[] = [];
const NONE_WAITS: ReadonlySet<Timer> = new Set();

/** What a node is given to know is no news to anybody. */
function enter(state: SwimState, known: readonly MemberRecord[]): void {
  for (const record of known) {
    if (record.id === state.id) continue;
    state.members.enter(record);
    if (isPresent(record)) state.order.add(record.id);
  }
  if (known.length > 0) state.lifecycle = "joined";
}

function begin(state: SwimState, seeds: readonly Seed[]): void {
  const { members, options, random, timers, now } = state;
  const some = (ms: number): MonotonicMs => MonotonicMs(now + ms * random());
  timers.set(some(options.periodMs), { kind: "period" });
  timers.set(some(pushPullIntervalMs(options, members.present)), { kind: "push-pull" });
  timers.set(some(options.healIntervalMs), { kind: "heal" });
  join(state, seeds);
}

/** As after a restart: nothing of what was believed before is believed, and whoever was known is asked. */
function nextLife(former: SwimState, dormancy: Dormancy, setup: SwimSetup): SwimState {
  const { members, now, keyring, allow } = former;
  for (const stream of former.streams.keys()) closeStream(former, stream);
  const { addresses, metadata, incarnation } = { ...members.self, ...dormancy.changes };
  const epoch = epochAbove(dormancy.highest, incarnation);
  const state = new SwimState(now, { ...setup, addresses, metadata, epoch }, { keyring, allow });
  state.nextStream = former.nextStream;
  state.events.push(...former.events, { kind: "persist-incarnation", incarnation: state.members.self.incarnation });
  state.transmissions.push(...former.transmissions);
  Object.assign(state.counters, former.counters);
  begin(state, former.seeds);
  recall(state, members.records());
  return state;
}

/** While this node stood still nobody's silence was heard: suspicions last that much longer. */
function noteStall(state: SwimState, lateMs: number): void {
  state.stalledMs += lateMs;
  if (lateMs >= state.options.periodMs) state.stalledAt = state.now;
  state.changeHealth((awareness) => {
    awareness.afterLag(lateMs);
  });
}

function handleTimer(state: SwimState, timer: Timer): void {
  switch (timer.kind) {
    case "period":
      beginPeriod(state);
      return tendPaths(state);
    case "probe-timeout":
      return probeTimedOut(state, timer.probe);
    case "help-nack":
      return reportSilence(state, timer.probe);
    case "help-over":
      return void state.helps.delete(timer.probe);
    case "ask-suspect":
      return askSuspect(state, timer.id, timer.number);
    case "suspicion":
      return suspicionDue(state, timer.id, timer.number);
    case "gossip":
      gossipTick(state);
      return goIfSaid(state);
    case "push-pull":
      return periodicPushPull(state);
    case "recheck":
      return recheck(state, timer.id);
    case "join":
      return askSeeds(state, timer.attempt);
    case "heal":
      return heal(state);
    case "reconnect":
      return reconnect(state, timer.id, timer.attempt);
    case "reap":
      return reap(state);
    case "calm":
      return calm(state, timer.id);
    case "doubt-over":
      return settleDoubt(state);
    case "leave-over":
      return fallSilent(state, "left");
    case "enquire":
      return enquire(state);
    case "enquiry-over":
      return enquiryOver(state);
    case "stream-over":
      return endStream(state, timer.stream);
    default:
      return assertNever(timer, "timer");
  }
}
