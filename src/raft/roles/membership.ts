import { type LogIndex, type NodeId, refusal } from "#kernel";
import { isJoint, leaveJoint, planChange, planPromotion } from "../config-change/index.ts";
import { isVoter, membersOf } from "../configuration.ts";
import { encodeConfiguration } from "../entry-layout.ts";
import { Progress } from "../progress/index.ts";
import type { Leading, RaftState } from "../state.ts";
import type { Configuration, CoreStamp, MembershipChange, ProposeOutcome } from "../types.ts";
import { appendOwn, flush, isOwnTermCommitted, isRecentlyActive, sendAppend } from "./leader.ts";
import { bestSuccessor, startTransfer, whyHandingOver } from "./transfer.ts";

/** Appends the first configuration of a change; the leader of the day does the rest by {@link advanceMembership}. */
export function changeMembership(state: RaftState, leading: Leading, change: MembershipChange, stamp: CoreStamp): ProposeOutcome {
  const handingOver = whyHandingOver(state, leading);
  if (handingOver !== null) return { ok: false, refusal: handingOver };
  const why = whyNoChangeNow(state, leading);
  if (why !== null) return { ok: false, refusal: refusal("BAD_STATE", why) };
  // The change before may have been committed in this very turn: who left by it and joins by this one is a stranger.
  bidFarewell(state, leading);
  const planned = planChange(state.configuration, change, (state.log.lastIndex + 1) as LogIndex);
  if (!planned.ok) return planned;
  leading.clock.advance(stamp);
  return { ok: true, term: state.term, firstIndex: appendConfiguration(state, leading, planned.value) };
}

/**
 * What a leader owes the configuration, asked before everything it sends. All of it follows from the log, so that a new
 * leader goes on where the last one fell (a joint configuration that waits for its author is a trap: etcd's AutoLeave).
 *
 * 1. a committed joint configuration is left; who is in the settled one no more is told when that is committed
 * 2. a leader that the committed settled configuration does not name hands over and goes (§6)
 * 3. learners to be promoted that have caught up become voters, all in one joint step
 */
export function advanceMembership(state: RaftState, leading: Leading): void {
  const { configuration } = state;
  if (!isOwnTermCommitted(state, leading) || isChangePending(state)) return;
  if (isJoint(configuration)) return void appendConfiguration(state, leading, leaveJoint(configuration));
  bidFarewell(state, leading);
  if (!isVoter(configuration, state.id)) {
    handOver(state, leading);
  } else if (configuration.promoting.length > 0) {
    const caughtUp = configuration.promoting.filter((learner) => hasCaughtUp(state, leading, learner));
    if (caughtUp.length === 0) return;
    state.mark("learners promoted", { learners: caughtUp.join(), term: state.term });
    appendConfiguration(state, leading, planPromotion(configuration, caughtUp));
  }
}

/**
 * One change at a time, and none before an entry of the own term is committed: two leaders with a change each could else
 * form majorities that do not meet (Ongaro's note of 2015 on single-server changes; here it also guards the joint ones).
 */
function whyNoChangeNow(state: RaftState, leading: Leading): string | null {
  if (!isOwnTermCommitted(state, leading)) return `no entry of term ${state.term} is committed yet: try again in a moment`;
  if (!isChangePending(state)) return null;
  const { currentIndex } = state.configurations;
  return `another membership change is under way: entry ${currentIndex} is not committed (commit index ${state.log.commitIndex})`;
}

function isChangePending({ configurations, log }: RaftState): boolean {
  return configurations.currentIndex > log.commitIndex;
}

function appendConfiguration(state: RaftState, leading: Leading, configuration: Configuration): LogIndex {
  const data = encodeConfiguration(configuration);
  const { clusterTimeMs, wallTimeMs } = leading.clock;
  appendOwn(state, "configuration", data, clusterTimeMs, wallTimeMs);
  leading.uncommittedBytes += data.length;
  leading.flushNeeded = true;
  state.mark("configuration appended", { index: state.log.lastIndex, joint: isJoint(configuration) });
  greetNewcomers(state, leading);
  return state.log.lastIndex;
}

/** In force from this moment on (§6). Those who leave are sent the log, and count for nothing, until their leaving is committed. */
function greetNewcomers(state: RaftState, leading: Leading): void {
  for (const member of membersOf(state.configuration)) {
    if (member === state.id || leading.progress.has(member)) continue;
    const progress = new Progress((state.log.lastIndex + 1) as LogIndex, state.options.maxInflightBytes);
    // It could not be heard before: a new voter gets an election timeout before it counts against this leader's quorum.
    progress.lastHeardTick = state.ticks;
    leading.progress.set(member, progress);
  }
}

/** The last that a node hears is that its leaving is committed: one that knows stays quiet from then on. */
function bidFarewell(state: RaftState, leading: Leading): void {
  const { voters, learners } = state.configuration;
  const others = voters.length + learners.length - (voters.includes(state.id) || learners.includes(state.id) ? 1 : 0);
  if (leading.progress.size === others) return;
  const members = membersOf(state.configuration);
  for (const [peer, progress] of leading.progress) {
    if (members.has(peer)) continue;
    // What it lacks may be compacted by now: then there is no place in the log to speak of, and it is left without a word.
    if (progress.state === "replicate" && progress.nextIndex > state.log.baseIndex) sendAppend(state, peer, progress, []);
    leading.progress.delete(peer);
  }
}

/**
 * §4.2.1 of the dissertation: the log as it stood at the start of a round has been acknowledged within one election timeout,
 * so that its vote will not hold up commitment for longer than an election would. A slower round is followed by another,
 * without end: whoever asked for the promotion can withdraw it.
 */
function hasCaughtUp(state: RaftState, leading: Leading, learner: NodeId): boolean {
  const progress = leading.progress.get(learner);
  if (progress === undefined || progress.suspect || !isRecentlyActive(state, progress)) return false;
  const { matchIndex, round } = progress;
  if (round !== null && matchIndex < round.targetIndex) return false;
  if (round !== null && state.ticks - round.startTick < state.options.electionTicks) return true;
  const targetIndex = state.log.lastIndex;
  progress.round = { targetIndex, startTick: state.ticks };
  return matchIndex >= targetIndex;
}

/**
 * By a transfer like any other, which takes no more proposals: the successor is brought up to the last entry and told to
 * campaign. What was proposed behind the change is committed and answered here still, unless the next leader is quicker and
 * says so by its term. Nobody else would tell this node of it: when nothing is left to wait for, it goes by itself.
 */
function handOver(state: RaftState, leading: Leading): void {
  const successor = leading.transfer === null ? bestSuccessor(state, leading) : leading.transfer.to;
  if (successor !== null) startTransfer(state, leading, successor, "removed");
  flush(state, leading);
  const { transfer } = leading;
  const isDone = transfer === null || (transfer.sent && state.log.commitIndex === state.log.lastIndex);
  if (!isDone) return;
  state.mark("stepped down: not a voter any more", { term: state.term, successor });
  state.becomeFollower(state.term, null);
}
