import {
  assertNever,
  type ClusterTimeMs,
  invariant,
  type LogIndex,
  NO_INDEX,
  type NodeId,
  refusal,
  type WallTimeMs,
} from "#kernel";
import { LeaderClock } from "../clock.ts";
import { membersOf } from "../configuration.ts";
import { Progress } from "../progress/index.ts";
import { committedIndex, isQuorum } from "../quorum/index.ts";
import { ReadRounds } from "../reads.ts";
import type { Leading, RaftState } from "../state.ts";
import type { CoreStamp, Entry, EntryKind, Message, ProposeOutcome, ReadId } from "../types.ts";
import { coversLease, extendLease, wantsLease } from "./lease.ts";
import { advanceTransfer, whyHandingOver } from "./transfer.ts";

/** Won: opens the leadership with an entry of its own term, without which nothing older may be counted as committed (§8). */
export function becomeLeader(state: RaftState): void {
  const { log, role } = state;
  invariant(role.kind === "candidate", `only a candidate becomes leader, ${state.id} is a ${role.kind} in term ${state.term}`);
  const nextIndex = (log.lastIndex + 1) as LogIndex;
  const progress = new Map<NodeId, Progress>();
  for (const member of membersOf(state.configuration)) {
    if (member !== state.id) progress.set(member, new Progress(nextIndex, state.options.maxInflightBytes));
  }
  const leading: Leading = {
    kind: "leader",
    progress,
    reads: new ReadRounds(),
    clock: new LeaderClock(log.lastTimes, state.stamp.wallMs),
    firstOwnIndex: nextIndex,
    uncommittedBytes: log.payloadBetween(log.commitIndex, log.lastIndex) + state.options.leaderData.length,
    heartbeatElapsed: 0,
    flushNeeded: true,
    transfer: null,
    steadySinceTick: state.ticks,
    lease: { untilMs: null, allowed: true },
    handedOverForDisk: false,
  };
  state.role = leading;
  state.mark("became leader", { term: state.term, first: nextIndex });
  state.setLeader(state.id);
  state.electionElapsed = 0;
  const { clusterTimeMs, wallTimeMs } = leading.clock;
  appendOwn(state, "leader", state.options.leaderData, clusterTimeMs, wallTimeMs);
}

export function tickLeader(state: RaftState, leading: Leading): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = state.options;
  leading.clock.advance(state.stamp);
  state.electionElapsed++;
  if (state.electionElapsed >= electionTicks) {
    state.electionElapsed = 0;
    if (checkQuorum && !hearsQuorum(state, leading)) {
      state.mark("checkQuorum: stepped down", { term: state.term, commit: state.log.commitIndex });
      state.becomeFollower(state.term, null);
      return;
    }
  }
  leading.heartbeatElapsed++;
  if (leading.heartbeatElapsed >= heartbeatTicks) {
    leading.heartbeatElapsed = 0;
    // A lease is the memory of a confirmed round: with leases on, there is always one under way.
    if (leading.reads.awaited === 0 && wantsLease(state, leading)) startReadRound(state, leading);
    else broadcastHeartbeat(state, leading);
  }
  for (const [peer, progress] of leading.progress) retryTransfer(state, peer, progress);
  // A learner that waits for its promotion may say nothing new, only be heard again.
  if (state.configuration.promoting.length > 0) leading.flushNeeded = true;
}

/** All or none: either every command has a place in the log, or none has. */
export function proposeCommands(
  state: RaftState,
  leading: Leading,
  commands: readonly Uint8Array[],
  stamp: CoreStamp,
): ProposeOutcome {
  const handingOver = whyHandingOver(state, leading);
  if (handingOver !== null) return { ok: false, refusal: handingOver };
  let bytes = 0;
  for (const command of commands) bytes += command.length;
  const { maxUncommittedBytes } = state.options;
  // On an empty tail anything passes, or a command above the limit could never be proposed.
  if (leading.uncommittedBytes > 0 && leading.uncommittedBytes + bytes > maxUncommittedBytes) {
    const message = `${leading.uncommittedBytes} bytes are uncommitted, ${bytes} more would pass the limit of ${maxUncommittedBytes}`;
    return { ok: false, refusal: refusal("OVERLOADED", message, { retryAfterMs: OVERLOADED_RETRY_MS }) };
  }
  leading.clock.advance(stamp);
  const { clusterTimeMs, wallTimeMs } = leading.clock;
  const firstIndex = (state.log.lastIndex + 1) as LogIndex;
  for (const command of commands) appendOwn(state, "command", command, clusterTimeMs, wallTimeMs);
  leading.uncommittedBytes += bytes;
  leading.flushNeeded = true;
  return { ok: true, term: state.term, firstIndex };
}

/** §5.3, §5.4.2: the highest index on a quorum is committed, but only when it is of this leader's own term. */
export function maybeCommit(state: RaftState, leading: Leading): void {
  const { log } = state;
  const index = committedIndex(state.configuration, (voter) => durableMatch(state, leading, voter));
  if (index <= log.commitIndex || !log.matches(index, state.term)) return;
  leading.uncommittedBytes -= log.payloadBetween(log.commitIndex, index);
  log.commitTo(index);
  leading.flushNeeded = true;
}

export function handleAppendReply(state: RaftState, leading: Leading, message: Extract<Message, { kind: "appendReply" }>): void {
  const progress = heard(state, leading, message.from, message.suspect);
  if (progress === null) return;
  const { matchIndex } = message;
  requireWithinLog(state, message.from, matchIndex);
  const learned = progress.accepted(matchIndex);
  switch (progress.state) {
    case "probe":
      // A probe that matches where it was expected to is news too: the place is now known.
      if (matchIndex === progress.matchIndex) progress.becomeReplicate();
      break;
    case "snapshot":
      if (progress.matchIndex >= state.log.baseIndex) progress.becomeReplicate();
      break;
    case "replicate":
      progress.inflights.freeTo(matchIndex);
  }
  leading.flushNeeded = true;
  if (learned) maybeCommit(state, leading);
}

export function handleAppendRejected(
  state: RaftState,
  leading: Leading,
  message: Extract<Message, { kind: "appendRejected" }>,
): void {
  const progress = heard(state, leading, message.from);
  if (progress === null) return;
  const { rejectedIndex, hintIndex, hintTerm } = message;
  // The follower skipped what is too new for the leader; here the leader skips what is too new for the follower.
  if (progress.rejected(rejectedIndex, state.log.lastAtOrBelowTerm(hintIndex, hintTerm))) leading.flushNeeded = true;
  else state.mark("stale rejection ignored", { from: message.from, rejectedIndex, match: progress.matchIndex });
}

export function handleHeartbeatReply(
  state: RaftState,
  leading: Leading,
  message: Extract<Message, { kind: "heartbeatReply" }>,
): void {
  const progress = heard(state, leading, message.from, message.suspect);
  if (progress === null) return;
  progress.probeSent = false;
  if (progress.matchIndex < state.log.lastIndex || progress.state === "probe") {
    progress.pokeAllowed = true;
    leading.flushNeeded = true;
  }
  if (message.readRound === 0 || message.suspect) return;
  leading.reads.confirm(message.readRound, message.from, coversLease(state, message.leaseMs));
  answerConfirmedReads(state, leading);
}

export function handleSnapshotReply(
  state: RaftState,
  leading: Leading,
  message: Extract<Message, { kind: "snapshotReply" }>,
): void {
  const progress = heard(state, leading, message.from, message.suspect);
  if (progress === null) return;
  const { index, nextOffset, installed } = message;
  if (installed) {
    requireWithinLog(state, message.from, index);
    progress.accepted(index);
    if (progress.state === "snapshot") progress.becomeProbe();
    leading.flushNeeded = true;
    maybeCommit(state, leading);
  } else if (progress.transfer?.index === index && progress.transfer.offset !== nextOffset) {
    sendSnapshotFrom(state, message.from, progress, index, nextOffset);
  } else {
    state.mark("stale snapshot reply ignored", { from: message.from, snapshot: index, nextOffset });
  }
}

/** What was in flight to this peer is lost; where the logs meet is still known. */
export function handlePeerDisconnected(leading: Leading, peer: NodeId): void {
  const progress = leading.progress.get(peer);
  if (progress === undefined) return;
  progress.steadySinceTick = null;
  if (progress.state === "replicate") progress.becomeProbe();
  else progress.probeSent = false;
}

/** A read waits for the first commit of this term: before it, the commit index may lag behind what an older leader told (§8). */
export function addRead(leading: Leading, from: NodeId, readId: ReadId): void {
  leading.reads.add({ from, readId });
  leading.flushNeeded = true;
}

export function isOwnTermCommitted(state: RaftState, leading: Leading): boolean {
  return state.log.commitIndex >= leading.firstOwnIndex;
}

/** Once per drain: all that gathered goes out in as few messages as the limits allow. */
export function flush(state: RaftState, leading: Leading): void {
  leading.flushNeeded = false;
  if (leading.reads.canStart && isOwnTermCommitted(state, leading)) startReadRound(state, leading);
  for (const [peer, progress] of leading.progress) sendAppends(state, peer, progress);
  advanceTransfer(state, leading);
}

export function isRecentlyActive(state: RaftState, progress: Progress): boolean {
  return progress.heardWithin(state.options.electionTicks, state.ticks);
}

/** An entry of the leader's own making. The caller counts its bytes. */
export function appendOwn(
  state: RaftState,
  kind: EntryKind,
  data: Uint8Array,
  clusterTimeMs: ClusterTimeMs,
  wallTimeMs: WallTimeMs,
): void {
  const index = (state.log.lastIndex + 1) as LogIndex;
  state.appendEntry({ term: state.term, index, kind, clusterTimeMs, wallTimeMs, data });
}

/** The leader is one of those it counts, and no sooner than its own disk says so. */
function durableMatch(state: RaftState, leading: Leading, voter: NodeId): LogIndex {
  if (voter === state.id) return state.log.durableIndex;
  const progress = leading.progress.get(voter);
  return progress === undefined || progress.suspect ? NO_INDEX : progress.matchIndex;
}

function hearsQuorum(state: RaftState, leading: Leading): boolean {
  return isQuorum(state.configuration, (voter) => {
    if (voter === state.id) return true;
    const progress = leading.progress.get(voter);
    return progress !== undefined && !progress.suspect && isRecentlyActive(state, progress);
  });
}

/** `suspect`: what the message says about its sender; null where it says nothing. */
function heard(state: RaftState, leading: Leading, peer: NodeId, suspect: boolean | null = null): Progress | null {
  const progress = leading.progress.get(peer);
  if (progress === undefined) {
    state.mark("reply of a non-member ignored", { from: peer });
    return null;
  }
  if (!isRecentlyActive(state, progress)) progress.steadySinceTick = null;
  progress.steadySinceTick ??= state.ticks;
  progress.lastHeardTick = state.ticks;
  if (suspect !== null && suspect !== progress.suspect) learnSuspicion(state, leading, peer, suspect);
  return progress;
}

/** A suspect is sent everything as before, and counts for nothing: not for a commit, not for a read, not as heard. */
export function learnSuspicion(state: RaftState, leading: Leading, peer: NodeId, suspect: boolean): void {
  const progress = leading.progress.get(peer);
  if (progress === undefined || progress.suspect === suspect) return;
  state.mark(suspect ? "peer is suspect" : "peer is no longer suspect", { peer, match: progress.matchIndex });
  if (suspect) progress.becomeSuspect();
  else progress.suspect = false;
  leading.flushNeeded = true;
  if (!suspect) maybeCommit(state, leading);
}

function requireWithinLog(state: RaftState, peer: NodeId, index: LogIndex): void {
  const { lastIndex } = state.log;
  invariant(index <= lastIndex, `${peer} acknowledges ${index} in term ${state.term}, but the leader's log ends at ${lastIndex}`);
}

function broadcastHeartbeat(state: RaftState, leading: Leading): void {
  const readRound = leading.reads.awaited;
  for (const [to, progress] of leading.progress) {
    // Beyond the follower's match its log may differ: it must not commit there (etcd#15699).
    const commitIndex = lower(progress.matchIndex, state.log.commitIndex);
    progress.sentCommit = higher(progress.sentCommit, commitIndex);
    state.send({ kind: "heartbeat", from: state.id, to, term: state.term, commitIndex, readRound });
  }
}

function startReadRound(state: RaftState, leading: Leading): void {
  leading.reads.start(state.log.commitIndex, state.id, state.stamp.monotonicMs);
  broadcastHeartbeat(state, leading);
  answerConfirmedReads(state, leading);
}

function answerConfirmedReads(state: RaftState, leading: Leading): void {
  const confirmed = leading.reads.takeConfirmed(state.configuration);
  if (confirmed === null) return;
  extendLease(state, leading, confirmed);
  const { index } = confirmed;
  for (const { from, readId } of confirmed.reads) {
    if (from === state.id) state.readable.push({ readId, index });
    else state.send({ kind: "readIndexReply", from: state.id, to: from, term: state.term, readId, index });
  }
  if (leading.reads.canStart) leading.flushNeeded = true;
}

function sendAppends(state: RaftState, to: NodeId, progress: Progress): void {
  switch (progress.state) {
    case "snapshot":
      return;
    case "probe":
      if (progress.probeSent) return;
      if (progress.nextIndex <= state.log.baseIndex) return beginTransfer(state, to, progress);
      sendAppend(state, to, progress, state.log.slice(progress.nextIndex, state.options.maxMessageBytes));
      progress.probeSent = true;
      progress.pokeAllowed = false;
      return;
    case "replicate":
      return streamAppends(state, to, progress);
    default:
      assertNever(progress.state, "progress state");
  }
}

function streamAppends(state: RaftState, to: NodeId, progress: Progress): void {
  const { log, options } = state;
  if (progress.nextIndex <= log.baseIndex) return beginTransfer(state, to, progress);
  let sent = false;
  while (progress.nextIndex <= log.lastIndex && !progress.inflights.full) {
    const entries = log.slice(progress.nextIndex, options.maxMessageBytes);
    sendAppend(state, to, progress, entries);
    const lastSent = (progress.nextIndex + entries.length - 1) as LogIndex;
    progress.inflights.add(lastSent, log.bytesBetween((progress.nextIndex - 1) as LogIndex, lastSent));
    progress.nextIndex = (lastSent + 1) as LogIndex;
    sent = true;
  }
  // While entries are on their way, their acknowledgement comes back here: under load the commit index never travels alone.
  const hasNewCommit = log.commitIndex > progress.sentCommit && progress.inflights.bytes === 0;
  if (!sent && (progress.pokeAllowed || hasNewCommit)) sendAppend(state, to, progress, NO_ENTRIES);
  progress.pokeAllowed = false;
}

export function sendAppend(state: RaftState, to: NodeId, progress: Progress, entries: readonly Entry[]): void {
  const { log } = state;
  const prevIndex = (progress.nextIndex - 1) as LogIndex;
  const prevTerm = log.termAt(prevIndex);
  invariant(prevTerm !== null, `no term for ${prevIndex} before an append to ${to}: the log begins after ${log.baseIndex}`);
  const { commitIndex } = log;
  progress.sentCommit = commitIndex;
  state.send({ kind: "append", from: state.id, to, term: state.term, prevIndex, prevTerm, entries, commitIndex });
}

/** The entries that this follower needs are compacted. A silent peer is not sent megabytes that nobody takes. */
function beginTransfer(state: RaftState, to: NodeId, progress: Progress): void {
  const { snapshot, log } = state;
  if (!isRecentlyActive(state, progress)) {
    progress.probeSent = true;
    state.mark("snapshot postponed: peer silent", { to, next: progress.nextIndex, base: log.baseIndex });
    return;
  }
  invariant(snapshot !== null, `the log begins after ${log.baseIndex}, but there is no snapshot`);
  progress.becomeSnapshot(snapshot.index, state.ticks);
  state.mark("snapshot started", { to, snapshot: snapshot.index, next: progress.nextIndex });
  sendSnapshotFrom(state, to, progress, snapshot.index, 0);
}

/**
 * The lowest snapshot that is on its way to somebody, if it is `newest` or a later one. The log must go on from there: else a
 * restore that takes longer than the log is kept ends with the need for the next snapshot, for ever (hashicorp/consul#9609).
 * An older one is not waited for, so that memory has a bound: what it leaves its follower short of is the next transfer.
 */
export function oldestRestore(state: RaftState, leading: Leading, newest: LogIndex): LogIndex {
  let oldest = Infinity;
  for (const progress of leading.progress.values()) {
    const { transfer } = progress;
    if (transfer !== null && transfer.index >= newest && isRecentlyActive(state, progress))
      oldest = Math.min(oldest, transfer.index);
  }
  return oldest as LogIndex;
}

/** One chunk is out at a time; the follower's answer asks for the next. */
function sendSnapshotFrom(state: RaftState, to: NodeId, progress: Progress, index: LogIndex, offset: number): void {
  const before = progress.transfer;
  const isRepeated = before !== null && before.index === index && before.offset === offset;
  progress.transfer = { index, offset, sentTick: state.ticks, movedTick: isRepeated ? before.movedTick : state.ticks };
  state.snapshotSends.push({ to, term: state.term, index, offset });
}

/**
 * No answer to a chunk for an election timeout: send it again, from where the follower stood. While it makes progress, however
 * slow, it keeps its snapshot: starting over with every newer one would never end. Only one that stands still gets the newest.
 */
function retryTransfer(state: RaftState, to: NodeId, progress: Progress): void {
  const { transfer } = progress;
  if (transfer === null || state.ticks - transfer.sentTick < state.options.electionTicks || !isRecentlyActive(state, progress))
    return;
  const hasMoved = state.ticks - transfer.movedTick < STANDSTILL_TIMEOUTS * state.options.electionTicks;
  const index = hasMoved ? transfer.index : (state.snapshot?.index ?? transfer.index);
  const offset = index === transfer.index ? transfer.offset : 0;
  state.mark("snapshot chunk repeated", { to, snapshot: index, offset });
  sendSnapshotFrom(state, to, progress, index, offset);
}

const STANDSTILL_TIMEOUTS = 5;
const NO_ENTRIES: readonly Entry[] = [];
const OVERLOADED_RETRY_MS = 50;

function lower(a: LogIndex, b: LogIndex): LogIndex {
  return a < b ? a : b;
}

function higher(a: LogIndex, b: LogIndex): LogIndex {
  return a > b ? a : b;
}
