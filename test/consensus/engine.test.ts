import { Sequence } from "#kernel";
import { encodeCommand } from "#codec";
import { type EngineMember, engineConformance } from "../conformance/engine.ts";
import { enqueue } from "../replica/operations.ts";
import { TestCluster, type TestNode } from "./cluster.ts";

engineConformance(
  "raft",
  async () => {
    const cluster = await TestCluster.start();
    const idOf = (member: EngineMember) => (member as TestNode).id;
    return {
      members: () => [...cluster.nodes.values()],
      leader: () => cluster.leader(),
      run: (ms) => cluster.run(ms),
      isolate: (member) => cluster.isolate(idOf(member)),
      heal: (member) => cluster.heal(idOf(member)),
    };
  },
  (n) =>
    encodeCommand({
      sessionId: null,
      sequence: null,
      firstUnackedSequence: Sequence(0),
      operation: enqueue("q", `command ${n}`),
    }),
);
