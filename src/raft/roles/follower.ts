import { invariant, type LogIndex, type NodeId } from "#kernel";
import type { RaftState } from "../state.ts";
import type { Message, SnapshotMeta } from "../types.ts";
import { campaign } from "./candidate.ts";
import { mustStand } from "./failover.ts";
import { tickSuspicion } from "../suspicion.ts";

/** Follower, pre-candidate or candidate: without word of a leader for the drawn time, an election starts. */
export function tickWithoutLead(state: RaftState): void {
  state.electionElapsed++;
  const { configuration, options, id } = state;
  const { voters, votersOutgoing } = configuration;
  // Nobody else could be heard of: a lone voter need not wait.
  const isAlone = state.role.kind === "follower" && voters.length === 1 && voters[0] === id && votersOutgoing === null;
  const isSilent = state.electionElapsed >= state.electionTimeout;
  if (state.isPromotable && (isAlone || isSilent || mustStand(state))) campaign(state);
  else if (isSilent && state.leader !== null) forgetLeader(state);
  if (state.forwarded.size > 0) state.rejectForwarded(state.ticks - 2 * options.electionTicks);
  tickSuspicion(state);
}

/** Who may not stand would name a leader for ever that nobody has heard of since: a removed node, a learner that is cut off. */
function forgetLeader(state: RaftState): void {
  state.mark("leader forgotten: silent", { leader: state.leader, term: state.term });
  state.setLeader(null);
}

/** Word of the leader of this term: whoever is not a follower becomes one (§5.2). */
export function acknowledgeLeader(state: RaftState, leader: NodeId): void {
  invariant(state.role.kind !== "leader", `two leaders in term ${state.term}: ${state.id} and ${leader}`);
  invariant(state.leader === null || state.leader === leader, `two leaders in term ${state.term}: ${state.leader} and ${leader}`);
  if (state.role.kind === "follower" && state.leader === leader) state.electionElapsed = 0;
  else state.becomeFollower(state.term, leader);
  state.standAtTick = null;
  state.bindToLeader();
}

/** §5.3. Accepts what follows a matching entry; refuses the rest with a hint where the logs may meet. */
export function handleAppend(state: RaftState, message: Extract<Message, { kind: "append" }>): void {
  const { log } = state;
  const { prevIndex, prevTerm, entries } = message;
  if (state.installing !== null) {
    // The shell is replacing log and state: what is appended now would vanish after it was acknowledged.
    state.mark("append ignored: installing a snapshot", { prevIndex, snapshot: state.installing.meta.index });
    return;
  }
  if (prevIndex < log.commitIndex) {
    // A late duplicate: everything up to the commit index is known to match.
    state.mark("append below commit", { prevIndex, commit: log.commitIndex });
    replyMatch(state, message.from, log.commitIndex);
    return;
  }
  if (!log.matches(prevIndex, prevTerm)) {
    rejectAppend(state, message);
    return;
  }
  const lastNew = (prevIndex + entries.length) as LogIndex;
  const firstNew = log.firstNew(entries);
  if (firstNew !== null) {
    const at = (prevIndex + 1 + firstNew) as LogIndex;
    if (at <= log.lastIndex) {
      state.mark("conflict truncated", { at, last: log.lastIndex, term: message.term });
      state.truncate((at - 1) as LogIndex);
    }
    for (let i = firstNew; i < entries.length; i++) state.appendEntry(entries[i]!);
  }
  // Not the log's end: what lies beyond the last new entry may still conflict with the leader (etcd#1203).
  log.commitTo(lower(message.commitIndex, lastNew));
  state.suspicion?.verify(state.term, lastNew);
  replyMatch(state, message.from, lastNew);
}

/** The leader sends a commit index that never exceeds what it knows to match here. */
export function handleHeartbeat(state: RaftState, message: Extract<Message, { kind: "heartbeat" }>): void {
  const { suspicion, term } = state;
  // A leader that does not know yet counts on acknowledged entries that may be gone.
  state.log.commitTo(suspicion === null ? message.commitIndex : lower(message.commitIndex, suspicion.verifiedIn(term)));
  const { readRound, from } = message;
  state.send({
    kind: "heartbeatReply",
    from: state.id,
    to: from,
    term: state.term,
    readRound,
    suspect: state.isSuspect,
    leaseMs: state.options.leaseReads?.leaseMs ?? 0,
  });
}

export function handleSnapshotChunk(state: RaftState, message: Extract<Message, { kind: "snapshotChunk" }>): void {
  const { log, installing } = state;
  const { meta, from } = message;
  if (meta.index <= log.commitIndex) {
    state.mark("snapshot ignored: behind commit", { snapshot: meta.index, commit: log.commitIndex });
    replyInstalled(state, from, meta.index);
  } else if (log.matches(meta.index, meta.term)) {
    // The log already holds all of it (it caught up by appends): dropping acknowledged entries would be a loss.
    state.mark("snapshot ignored: log matches", { snapshot: meta.index, last: log.lastIndex });
    log.commitTo(meta.index);
    replyInstalled(state, from, meta.index);
  } else if (installing !== null) {
    state.mark("snapshot chunk ignored: installing", { snapshot: meta.index, installing: installing.meta.index });
  } else {
    state.snapshotChunks.push(message);
    if (message.done) state.installing = { meta, endOffset: message.offset + message.data.length };
  }
}

/** The shell has stored chunks up to `nextOffset`, or wants to start over from an earlier one. */
export function handleSnapshotReceived(state: RaftState, index: LogIndex, nextOffset: number | null): void {
  const { installing, leader } = state;
  if (nextOffset === null) {
    state.mark("snapshot given up: no room", { snapshot: index });
    if (installing?.meta.index === index) state.installing = null;
    return;
  }
  if (installing !== null && installing.meta.index === index) {
    if (nextOffset >= installing.endOffset) return; // whole; the answer is `installed`
    state.mark("snapshot incomplete", { snapshot: index, nextOffset, endOffset: installing.endOffset });
    state.installing = null;
  }
  if (leader === null || leader === state.id) return;
  state.send({
    kind: "snapshotReply",
    from: state.id,
    to: leader,
    term: state.term,
    index,
    nextOffset,
    installed: false,
    suspect: state.isSuspect,
  });
}

/** Durable and restored: log, configuration and snapshot of this node are now the received ones. */
export function handleInstalled(state: RaftState, meta: SnapshotMeta): void {
  state.log.resetTo(meta);
  state.configurations.reset(meta.configuration, meta.index);
  state.snapshot = meta;
  state.installing = null;
  state.mark("snapshot installed", { snapshot: meta.index });
  if (state.leader !== null && state.leader !== state.id) replyInstalled(state, state.leader, meta.index);
}

function rejectAppend(state: RaftState, message: Extract<Message, { kind: "append" }>): void {
  const { log } = state;
  const { prevIndex, prevTerm } = message;
  // Entries of a later term than the leader's at that place cannot match: skip them all, one probe per term.
  const hintIndex = log.lastAtOrBelowTerm(prevIndex, prevTerm);
  const hintTerm = log.termAt(hintIndex);
  invariant(hintTerm !== null, `no term for hint ${hintIndex}: the log begins after ${log.baseIndex}`);
  state.mark("append rejected", { prevIndex, prevTerm, hintIndex, hintTerm });
  const envelope = { from: state.id, to: message.from, term: state.term };
  state.send({ kind: "appendRejected", ...envelope, rejectedIndex: prevIndex, hintIndex, hintTerm });
}

function replyMatch(state: RaftState, to: NodeId, matchIndex: LogIndex): void {
  state.send({ kind: "appendReply", from: state.id, to, term: state.term, matchIndex, suspect: state.isSuspect });
}

function replyInstalled(state: RaftState, to: NodeId, index: LogIndex): void {
  state.send({
    kind: "snapshotReply",
    from: state.id,
    to,
    term: state.term,
    index,
    nextOffset: 0,
    installed: true,
    suspect: state.isSuspect,
  });
}

function lower(a: LogIndex, b: LogIndex): LogIndex {
  return a < b ? a : b;
}
