import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ClusterId, LogIndex, NO_INDEX, NodeId, seededRandom } from "#kernel";
import type { Log } from "#ports";
import { settledConfiguration } from "#raft";
import { PeerDirectories } from "#storage";
import { MemoryDisk } from "../storage/memory-disk.ts";
import { systemTimers } from "../../src/host/clock.ts";
import { type GrpcPeerLinks, createPeerLinks, learnCluster } from "../../src/host/peer-grpc/index.ts";

const [a, b, joiner] = [NodeId("a"), NodeId("b"), NodeId("joiner")];
const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const open: GrpcPeerLinks[] = [];

afterEach(async () => {
  for (const links of open.splice(0)) await links.close();
});

/** The port of a voter whose log goes to `lastIndex`. */
async function voter(self: NodeId, lastIndex: number): Promise<string> {
  const membership = () => ({ index: LogIndex(1), configuration: settledConfiguration([a, b, joiner]) });
  const links = createPeerLinks(
    {
      self,
      clusterId: ClusterId("blue"),
      incarnation: 1,
      directoryId: `directory of ${self}`,
      starts: 1,
      admission: () => NO_INDEX,
      lastIndex: () => LogIndex(lastIndex),
      peers: new Map([[joiner, "127.0.0.1:1"]]),
      dialAtFirst: new Set(),
      listen: { host: "127.0.0.1", port: 0 },
      tls: null,
    },
    {
      timers: systemTimers(),
      random: seededRandom(1),
      log: quiet,
      directories: await PeerDirectories.open(new MemoryDisk(), membership),
      onDirectory: () => {},
    },
    { onMessage: () => {}, onConnected: () => {}, onDisconnected: () => {} },
  );
  open.push(links);
  return `127.0.0.1:${await links.start()}`;
}

test("an empty directory is early only while the longest log is that of the founding; with no log, or a longer one, it is late (docs/decisions/0015)", async () => {
  const cases = [
    { logs: [2, 0], isLatecomer: false },
    { logs: [2, 2], isLatecomer: false },
    { logs: [0, 0], isLatecomer: true },
    { logs: [2, 3], isLatecomer: true },
    { logs: [5, 0], isLatecomer: true },
  ];
  for (const { logs, isLatecomer } of cases) {
    const peers = new Map([
      [a, await voter(a, logs[0]!)],
      [b, await voter(b, logs[1]!)],
    ]);
    const options = { self: joiner, incarnation: 1, peers, tls: null };
    const learned = await learnCluster(options, { timers: systemTimers(), log: quiet }, new AbortController().signal);
    assert.deepEqual(learned, { clusterId: "blue", isLatecomer }, `logs to ${logs.join(" and ")}`);
  }
});
