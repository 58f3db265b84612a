import assert from "node:assert/strict";
import { LogIndex, Term } from "#kernel";
import type { Entry, Message, RaftOptions } from "#raft";
import { id, TestNode, voters } from "./network.ts";

/** The algorithm of the paper's main part alone. */
export const quiet: Partial<RaftOptions> = { preVote: false, checkQuorum: false };

export const LETTERS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

type Append = Extract<Message, { kind: "append" }>;
type Reply = Extract<Message, { kind: "appendReply" | "appendRejected" }>;

export function append(prev: number, prevTerm: number, entries: readonly Entry[], term: number, commit = 0): Message {
  const at = { prevIndex: LogIndex(prev), prevTerm: Term(prevTerm), commitIndex: LogIndex(commit) };
  return { kind: "append", from: id(2), to: id(1), term: Term(term), entries, ...at };
}

export function accepted(from: number, term: number, matchIndex: number): Message {
  return { kind: "appendReply", from: id(from), to: id(1), term: Term(term), matchIndex: LogIndex(matchIndex), suspect: false };
}

export function follower(log: readonly number[], term: number, options: Partial<RaftOptions> = quiet): TestNode {
  return new TestNode({ id: id(1), configuration: voters(3), options, log, term });
}

/** A leader of the term after `term`, its opening entry durable here and sent to nobody's knowledge. */
export function leader(
  count = 3,
  log: readonly number[] = [],
  term = log.at(-1) ?? 0,
  options: Partial<RaftOptions> = {},
): TestNode {
  const node = new TestNode({ id: id(1), configuration: voters(count), options: { ...quiet, ...options }, log, term });
  node.step({ kind: "campaign" });
  node.settle();
  for (let peer = 2; peer <= count; peer++) {
    node.receive({ kind: "voteReply", from: id(peer), to: id(1), term: Term(term + 1), granted: true });
  }
  node.settle();
  assert.equal(node.role, "leader");
  node.takeSent();
  return node;
}

export function appendsTo(node: TestNode, peer: number): Append[] {
  return node.takeSent().filter((m): m is Append => m.kind === "append" && m.to === id(peer));
}

export function replyTo(node: TestNode, message: Message): Reply {
  node.receive(message);
  node.settle();
  const [reply] = node.takeSent().filter((m): m is Reply => m.kind === "appendReply" || m.kind === "appendRejected");
  assert.ok(reply !== undefined);
  return reply;
}

export function requestVote(
  from: number,
  term: number,
  lastIndex = 0,
  lastTerm = 0,
  kind: "preVote" | "requestVote" = "requestVote",
): Message {
  return {
    kind,
    from: id(from),
    to: id(1),
    term: Term(term),
    lastIndex: LogIndex(lastIndex),
    lastTerm: Term(lastTerm),
    transfer: false,
  };
}
