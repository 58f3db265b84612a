import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type LogIndex, NodeId, type Term } from "#kernel";
import type { CoreState } from "#node";
import { type BatchId, type Entry, type Message, type Persist, settledConfiguration } from "#raft";
import { verifyTrace } from "#sim";
import { ReferenceMachine } from "../../src/sim/reference/machine.ts";

const [self, b, c] = [NodeId("a"), NodeId("b"), NodeId("c")];
const configuration = settledConfiguration([self, b, c]);
const index = (n: number): LogIndex => n as LogIndex;
const term = (n: number): Term => n as Term;
const entry = (at: number, of: number): Entry => ({
  term: term(of),
  index: index(at),
  kind: "command",
  clusterTimeMs: 0 as Entry["clusterTimeMs"],
  wallTimeMs: 0 as Entry["wallTimeMs"],
  data: new Uint8Array(0),
});

/** A follower in term 2 with the log 1,1,2, committed to 2. */
const begin: CoreState = {
  term: term(2),
  votedFor: null,
  role: "follower",
  baseIndex: index(0),
  lastIndex: index(3),
  lastTerm: term(2),
  commitIndex: index(2),
  appliedIndex: index(2),
  configurationIndex: index(0),
};
const machine = (state: CoreState = begin): ReferenceMachine =>
  new ReferenceMachine(self, { state, configuration, committedConfiguration: configuration, terms: [0, 1, 1, 2].map(term) });
const from = { from: b, to: self } as const;
const append = (at: number, prevIndex: number, prevTerm: number, entries: readonly Entry[], commit = 0): Message => ({
  kind: "append",
  ...from,
  term: term(at),
  prevIndex: index(prevIndex),
  prevTerm: term(prevTerm),
  entries,
  commitIndex: index(commit),
});
const vote = (at: number, lastIndex: number, lastTerm: number): Message => ({
  kind: "requestVote",
  ...from,
  term: term(at),
  lastIndex: index(lastIndex),
  lastTerm: term(lastTerm),
  transfer: false,
});

function judged(message: Message, after: Partial<CoreState>): string | null {
  return machine().stepped({ kind: "message", message }, { ...begin, ...after }, configuration);
}

describe("the reference machine allows what the rules allow", () => {
  test("a vote for a log that is up to date, in a new term", () => {
    assert.equal(judged(vote(3, 3, 2), { term: term(3), votedFor: b }), null);
  });
  test("an append after a match, with the commit index up to the last new entry", () => {
    const after = { lastIndex: index(4), lastTerm: term(2), commitIndex: index(4) };
    assert.equal(judged(append(2, 3, 2, [entry(4, 2)], 9), after), null);
  });
  test("a conflicting tail is replaced", () => {
    assert.equal(judged(append(3, 2, 1, [entry(3, 3)]), { term: term(3), lastTerm: term(3) }), null);
  });
  test("a suspect is told to commit what it has acknowledged, though that counts for no quorum", () => {
    const leader: CoreState = { ...begin, role: "leader" };
    const message: Message = { kind: "appendReply", ...from, term: term(2), matchIndex: index(3), suspect: true };
    const counting = { ...leader, commitIndex: index(3) };
    assert.match(machine(leader).stepped({ kind: "message", message }, counting, configuration) ?? "allowed", /b to|commit/);
    const one = machine(leader);
    assert.equal(one.stepped({ kind: "message", message }, leader, configuration), null);
    const round = { kind: "heartbeat", from: self, to: b, term: term(2), commitIndex: index(2), readRound: 1 } as const;
    assert.equal(one.drained({ send: [round], persist: null, committed: [] }, leader, configuration), null);
  });
  test("any message is ignored", () => {
    assert.equal(judged(append(2, 3, 2, [entry(4, 2)], 9), {}), null);
  });
});

describe("the reference machine refuses", () => {
  const bad: readonly (readonly [string, Message, Partial<CoreState>, RegExp])[] = [
    ["a term that falls", append(2, 3, 2, []), { term: term(1) }, /term falls from 2 to 1/],
    ["a term that nobody named", append(3, 3, 2, []), { term: term(4) }, /term rises from 2 to 4/],
    ["a vote for a log that is behind", vote(3, 9, 1), { term: term(3), votedFor: b }, /behind 3 in term 2/],
    ["a vote that nobody asked for", append(2, 3, 2, []), { votedFor: c }, /nobody asked/],
    ["a leader out of nowhere", append(2, 3, 2, []), { role: "leader" }, /a follower becomes leader/],
    ["entries after a place that does not match", append(2, 3, 1, [entry(4, 2)]), { lastIndex: index(4) }, /does not match/],
    ["a cut by a late append", append(2, 1, 1, [entry(2, 1)]), { lastIndex: index(2), lastTerm: term(1) }, /a late append cuts/],
    ["an overwritten committed entry", append(3, 1, 1, [entry(2, 3)]), { term: term(3), lastIndex: index(2), lastTerm: term(3) }, /committed entry 2 is overwritten/],
    ["a commit beyond the last new entry", append(2, 2, 1, [], 3), { commitIndex: index(3) }, /vouches only for 2/],
    ["a commit index that falls", append(2, 3, 2, []), { commitIndex: index(1), appliedIndex: index(1) }, /applied falls|commit falls/],
  ]; // prettier-ignore
  for (const [what, message, after, problem] of bad) {
    test(what, () => assert.match(judged(message, after) ?? "allowed", problem));
  }

  test("a second vote in one term", () => {
    const one = machine();
    assert.equal(
      one.stepped({ kind: "message", message: vote(3, 3, 2) }, { ...begin, term: term(3), votedFor: b }, configuration),
      null,
    );
    const again = one.stepped(
      { kind: "message", message: vote(3, 3, 2) },
      { ...begin, term: term(3), votedFor: c },
      configuration,
    );
    assert.match(again ?? "allowed", /vote of term 3 changes from b to c/);
  });

  test("a vote and an acknowledgement that leave before the disk has them", () => {
    const early = (message: Message): string | null =>
      machine().drained({ send: [message], persist: null, committed: [] }, begin, configuration);
    const granted: Message = { kind: "voteReply", from: self, to: b, term: term(2), granted: true };
    assert.match(early(granted) ?? "allowed", /voteReply to b is sent too early: the vote for b is not durable/);
    const acknowledged: Message = { kind: "appendReply", from: self, to: b, term: term(2), matchIndex: index(4), suspect: false };
    assert.match(early(acknowledged) ?? "allowed", /entries to 4 are not durable, to 3 are/);
  });

  test("a commitment without a durable majority, and one of an earlier term by counting", () => {
    const ofTerm3: CoreState = { ...begin, term: term(3), votedFor: self, role: "candidate" };
    const lead = (): ReferenceMachine => {
      const one = machine({ ...begin, term: term(3), votedFor: self, role: "candidate" });
      const granted: Message = { kind: "voteReply", ...from, term: term(3), granted: true };
      const leads = { ...ofTerm3, role: "leader", lastIndex: index(4), lastTerm: term(3) } as const;
      assert.equal(one.stepped({ kind: "message", message: granted }, leads, configuration), null);
      return one;
    };
    const leads: CoreState = { ...ofTerm3, role: "leader", lastIndex: index(4), lastTerm: term(3) };
    const says = (matchIndex: number): Message => ({
      kind: "appendReply",
      ...from,
      term: term(3),
      matchIndex: index(matchIndex),
      suspect: false,
    });
    const counted = lead().stepped({ kind: "message", message: says(3) }, { ...leads, commitIndex: index(3) }, configuration);
    assert.match(counted ?? "allowed", /of term 2 by counting in term 3/);
    const alone = lead().stepped({ kind: "message", message: says(4) }, { ...leads, commitIndex: index(4) }, configuration);
    assert.match(alone ?? "allowed", /without a durable majority: own disk to 3/);
    const one = lead();
    const persist: Persist = { batch: 1 as BatchId, hardState: null, entries: [entry(4, 3)], thenSend: [] };
    assert.equal(one.drained({ send: [], persist, committed: [] }, leads, configuration), null);
    assert.equal(one.stepped({ kind: "persisted", batch: 1 as BatchId }, leads, configuration), null);
    assert.equal(one.stepped({ kind: "message", message: says(4) }, { ...leads, commitIndex: index(4) }, configuration), null);
  });
});

describe("a trace file", () => {
  const start = JSON.stringify({
    event: "start",
    node: self,
    state: begin,
    configuration,
    committedConfiguration: configuration,
    terms: [0, 1, 1, 2],
  });
  const step = JSON.stringify({ event: "step", input: { kind: "tick" }, state: begin, configuration: null });
  const forgets = JSON.stringify({ event: "step", input: { kind: "tick" }, state: { ...begin, term: 1 }, configuration: null });
  const lines = async function* (...texts: string[]): AsyncGenerator<string> {
    yield* texts;
  };

  test("is accepted with its lives and transitions counted, also when a killed process left half a line", async () => {
    const verdict = await verifyTrace(lines(start, step, step.slice(0, 20), start, step));
    assert.deepEqual(verdict, { ok: true, node: "a", lives: 2, transitions: 2 });
  });
  test("is refused at the line whose transition the rules forbid", async () => {
    const verdict = await verifyTrace(lines(start, step, forgets));
    assert.deepEqual(verdict, { ok: false, line: 3, problem: "the term falls from 2 to 1 (§5.1)" });
  });
  test("is refused where a line is damaged, and where it holds nothing", async () => {
    assert.deepEqual(await verifyTrace(lines(start, "}", step)), { ok: false, line: 2, problem: "it is no line of a trace" });
    assert.deepEqual(await verifyTrace(lines()), { ok: false, line: 0, problem: "it holds no trace" });
  });
});
