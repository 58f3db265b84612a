import assert from "node:assert/strict";
import { test } from "node:test";
import { type LogIndex, MonotonicMs, NodeId, type Term, WallTimeMs, accepted, refusal, refused } from "#kernel";
import type { Engine, EngineSink, EngineStatus } from "#consensus";
import { type Entry, type RaftStatus, settledConfiguration } from "#raft";
import { type Answer, createReplica, defaultReplicaOptions } from "#replica";
import { createStateMachine } from "#statemachine";
import { encodeCommand } from "#codec";
import { enqueue } from "./operations.ts";

// The engine is a script here: the one situation that a simulated network seldom times right.
test("another leader's entry at the promised index proves that the command was dropped: it may be tried again", () => {
  const { submit, sink, turn } = scripted();
  const answers = submit();
  turn();
  sink.onCommitted([entry(1, 2, "leader")]);
  assert.deepEqual(answers, [
    {
      kind: "refused",
      refusal: refusal("UNAVAILABLE", "another leader took the command's place in the log: it was not done"),
    },
  ]);
});

test("the same index with the same term is ours, and is applied from the decoded command", () => {
  const { submit, sink, turn, replica } = scripted();
  const answers = submit();
  turn();
  sink.onCommitted([{ ...entry(1, 1, "command"), data: Uint8Array.of(255) }]);
  assert.equal(answers[0]?.kind, "decided");
  assert.equal(replica.status().counts.work.PENDING, 1);
});

test("an entry that this version cannot read is skipped, and what follows it is applied", () => {
  const { sink, replica } = scripted();
  const data = encodeCommand({ sessionId: null, sequence: null, firstUnackedSequence: 0 as never, operation: enqueue() });
  sink.onCommitted([
    { ...entry(1, 1, "command"), data: Uint8Array.of(255) },
    { ...entry(2, 1, "command"), data },
  ]);
  assert.equal(replica.appliedIndex, 2);
  assert.equal(replica.status().counts.work.PENDING, 1);
});

function scripted() {
  const self = NodeId("n1");
  const soon: (() => void)[] = [];
  const raft: RaftStatus = {
    term: 1 as Term,
    votedFor: self,
    role: "leader",
    leader: self,
    baseIndex: 0 as LogIndex,
    lastIndex: 0 as LogIndex,
    lastTerm: 0 as Term,
    commitIndex: 0 as LogIndex,
    appliedIndex: 0 as LogIndex,
    configuration: settledConfiguration([self]),
    configurationIndex: 0 as LogIndex,
    progress: null,
    electionCount: 1,
    ownTermCommitted: true,
    suspect: false,
    transferee: null,
  };
  const status: EngineStatus = { raft, connectedPeers: new Set(), isMember: true };
  const times = { clusterTimeMs: 1 as never, wallTimeMs: WallTimeMs(1) };
  const engine: Engine = {
    propose: () => ({ ok: true, term: 1 as Term, firstIndex: 1 as LogIndex }),
    readBarrier: () => Promise.resolve(accepted(0 as LogIndex)),
    applied: () => {},
    reconfigure: () => Promise.resolve(refused(refusal("UNIMPLEMENTED", "not here"))),
    transferLeadership: () => Promise.resolve(refused(refusal("UNIMPLEMENTED", "not here"))),
    campaign: () => {},
    allowLeading: () => {},
    reportDigest: () => {},
    saveSnapshot: () => Promise.resolve(refused(refusal("BAD_STATE", "not here"))),
    leader: () => ({ id: self, term: 1 as Term, isSelf: true }),
    clusterNow: () => times,
    status: () => status,
    guarantees: { quorum: true, linearizableReads: true, fencing: true },
    close: () => Promise.resolve(),
  };
  let sink: EngineSink | null = null;
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
  const replica = createReplica(defaultReplicaOptions, {
    openEngine: (given) => {
      sink = given;
      return engine;
    },
    nodeId: self,
    machine: createStateMachine(),
    restore: () => Promise.resolve(createStateMachine()),
    clock: { now: () => ({ monotonicMs: MonotonicMs(1), wallMs: WallTimeMs(1) }) },
    timers: { after: () => ({ cancel: () => {} }), every: () => ({ cancel: () => {} }), soon: (run) => void soon.push(run) },
    log,
    onFatal: (error) => assert.fail(error),
  });
  const given: EngineSink = sink!;
  given.onStatus(status);
  const submit = (): Answer[] => {
    const answers: Answer[] = [];
    const command = encodeCommand({ sessionId: null, sequence: null, firstUnackedSequence: 0 as never, operation: enqueue() });
    replica.submit({ command, principal: "", timeoutMs: null }, (answer) => answers.push(answer));
    return answers;
  };
  const turn = () => {
    for (const run of soon.splice(0)) run();
  };
  return { replica, sink: given, submit, turn };
}

function entry(index: number, term: number, kind: Entry["kind"]): Entry {
  const times = { clusterTimeMs: index as Entry["clusterTimeMs"], wallTimeMs: index as Entry["wallTimeMs"] };
  return { index: index as LogIndex, term: term as Term, kind, ...times, data: new Uint8Array() };
}
