import type { NodeId, Term } from "#kernel";
import { votersOf } from "../configuration.ts";
import { voteResult } from "../quorum/index.ts";
import type { Campaigning, RaftState } from "../state.ts";
import type { Message } from "../types.ts";
import { becomeLeader } from "./leader.ts";

/** Starts an election: with PreVote, by asking first whether it could be won, which disturbs nobody (§9.6 of the dissertation). */
export function campaign(state: RaftState): void {
  if (state.role.kind === "leader") {
    state.mark("campaign ignored: leading", { term: state.term });
  } else if (!state.isPromotable) {
    state.mark("campaign ignored: not promotable", { term: state.term, installing: state.installing !== null });
  } else if (state.isBound) {
    state.mark("campaign ignored: a lease may be held", { term: state.term });
  } else if (state.options.preVote) {
    startPreElection(state);
  } else {
    startElection(state);
  }
}

/** The leader of this term asked for it (dissertation 3.10): no pre-vote, and votes though that leader is alive. */
export function campaignForTransfer(state: RaftState): void {
  startElection(state, true);
}

/** Counts an answer, once per voter, in the election that it answers. */
export function handleVoteReply(state: RaftState, message: Extract<Message, { kind: "preVoteReply" | "voteReply" }>): void {
  const { role } = state;
  const answered = message.kind === "preVoteReply" ? "preCandidate" : "candidate";
  // A granted pre-vote carries the term that was asked for, which this node has not entered.
  const asked = message.kind === "preVoteReply" && message.granted ? state.term + 1 : state.term;
  if (role.kind !== answered || message.term !== asked) {
    state.mark("stale vote reply ignored", { from: message.from, term: message.term, role: role.kind });
    return;
  }
  if (!role.votes.has(message.from)) role.votes.set(message.from, message.granted);
  concludeElection(state, role);
}

/** The candidate's own vote counts like any other: once it is durable. */
export function countOwnVote(state: RaftState): void {
  const { role } = state;
  if (role.kind !== "candidate" || role.votes.has(state.id) || !state.outbox.isHardStateDurable) return;
  role.votes.set(state.id, true);
  concludeElection(state, role);
}

/**
 * §5.2 and §5.4.1. A vote is refused while a live leader is known (see the caller), to a log that is behind, and to a second
 * candidate of the same term; while a lease may be held; and by a suspect, whose log no longer tells what it acknowledged. A granted pre-vote promises nothing and changes nothing.
 */
export function handleVoteRequest(state: RaftState, message: Extract<Message, { kind: "preVote" | "requestVote" }>): void {
  const { from, lastIndex, lastTerm } = message;
  const isPreVote = message.kind === "preVote";
  const isFree =
    state.votedFor === from || (state.votedFor === null && state.leader === null) || (isPreVote && message.term > state.term);
  // Also in the term of the request: this node may have been told of that term after it acknowledged the leader of an earlier one.
  const isPromised = state.isBound && !message.transfer;
  const mayGrant = message.term >= state.term && isFree && !isPromised && !state.isSuspect;
  const granted = mayGrant && state.log.isUpToDate(lastIndex, lastTerm);
  if (!granted) state.mark("vote refused", { kind: message.kind, from, term: message.term, isFree, lastIndex, lastTerm });
  if (granted && !isPreVote) recordVote(state, from);
  const term = granted ? message.term : state.term;
  // Last, so that the outbox knows what the answer waits for: a vote leaves only when it is on the disk.
  state.send({ kind: isPreVote ? "preVoteReply" : "voteReply", from: state.id, to: from, term, granted });
}

function recordVote(state: RaftState, candidate: NodeId): void {
  state.standAtTick = null;
  if (state.votedFor !== candidate) {
    state.outbox.hardState = { term: state.term, votedFor: candidate };
    state.electionCount++;
  }
  state.electionElapsed = 0;
}

function startPreElection(state: RaftState): void {
  const role = enter(state, "preCandidate");
  role.votes.set(state.id, true);
  requestVotes(state, "preVote", (state.term + 1) as Term, false);
  concludeElection(state, role);
}

function startElection(state: RaftState, transfer = false): void {
  const term = (state.term + 1) as Term;
  state.mark("election started", { term, transfer });
  state.outbox.hardState = { term, votedFor: state.id };
  state.electionCount++;
  enter(state, "candidate");
  requestVotes(state, "requestVote", term, transfer);
}

function enter(state: RaftState, kind: Campaigning["kind"]): Campaigning {
  const role: Campaigning = { kind, votes: new Map() };
  state.role = role;
  state.standAtTick = null;
  state.electionElapsed = 0;
  state.drawElectionTimeout();
  state.setLeader(null);
  return role;
}

function requestVotes(state: RaftState, kind: "preVote" | "requestVote", term: Term, transfer: boolean): void {
  const { lastIndex, lastTerm } = state.log;
  for (const to of votersOf(state.configuration)) {
    if (to !== state.id) state.send({ kind, from: state.id, to, term, lastIndex, lastTerm, transfer });
  }
}

function concludeElection(state: RaftState, role: Campaigning): void {
  switch (voteResult(state.configuration, role.votes)) {
    case "pending":
      return;
    case "lost":
      state.mark("election lost", { term: state.term, role: role.kind });
      state.becomeFollower(state.term, null);
      return;
    case "won":
      if (role.kind === "preCandidate") startElection(state);
      else becomeLeader(state);
  }
}
