import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { createServer } from "node:net";
import { afterEach, test } from "node:test";
import { ClusterId, LogIndex, NO_INDEX, NodeId, type Term, seededRandom } from "#kernel";
import type { Log } from "#ports";
import { type Entry, type Message, settledConfiguration } from "#raft";
import { PeerDirectories } from "#storage";
import { MemoryDisk } from "../storage/memory-disk.ts";
import { raftMessageToProto } from "#codec";
import { systemTimers } from "../../src/host/clock.ts";
import { helloTo } from "../../src/host/peer-grpc/handshake.ts";
import { Inbound } from "../../src/host/peer-grpc/inbound.ts";
import { type GrpcPeerLinks, createPeerLinks } from "../../src/host/peer-grpc/index.ts";

const a = NodeId("a");
const b = NodeId("b");
const founders = { index: LogIndex(1), configuration: settledConfiguration([a, b]) };
const open: GrpcPeerLinks[] = [];

afterEach(async () => {
  for (const links of open.splice(0)) await links.close();
});

test("two voters connect in both directions and messages arrive whole and in order, many to a frame", async () => {
  const { left, right } = await pair();
  const entries = [1, 2, 3].map(entryAt);
  for (let round = 1; round <= 500; round += 1) left.links.send(b, heartbeat(round));
  left.links.send(b, append(entries));
  await until(() => right.messages.length === 501);
  assert.deepEqual(
    right.messages.slice(0, 500).map((message) => message.kind === "heartbeat" && message.readRound),
    Array.from({ length: 500 }, (_, at) => at + 1),
  );
  const last = right.messages.at(-1)!;
  assert.ok(last.kind === "append");
  assert.deepEqual(
    last.entries.map(({ data, ...rest }) => ({ ...rest, data: [...data] })),
    entries.map(({ data, ...rest }) => ({ ...rest, data: [...data] })),
  );
  assert.deepEqual([last.from, last.to], [a, b]);
});

test("a node of another cluster is refused, and both sides log both names once", async () => {
  const left = await node(a, { clusterId: "blue" });
  const right = await node(b, { clusterId: "green", peers: new Map([[a, `127.0.0.1:${left.port}`]]) });
  await until(() => right.warnings.length > 0 && left.warnings.length > 0);
  assert.match(right.warnings[0]!, /cluster "green" there, "blue" here/);
  assert.match(left.warnings[0]!, /cluster "green" there, "blue" here/);
  await new Promise((resolve) => setTimeout(resolve, 300)); // several attempts long
  assert.deepEqual([left.warnings.length, right.warnings.length], [1, 1]);
  assert.deepEqual([...right.links.connected()], []);
});

test("a caller that looks for another node is refused: an address is not a name", async () => {
  const left = await node(a, {});
  const right = await node(b, { peers: new Map([[NodeId("c"), `127.0.0.1:${left.port}`]]) });
  await until(() => right.warnings.length > 0);
  assert.match(right.warnings[0]!, /looks for node "c", this is "a"/);
});

test("what an earlier connection still brings is not delivered once the peer has connected anew (docs/decisions/0011)", async () => {
  const identity = {
    self: b,
    clusterId: ClusterId("blue"),
    incarnation: 2,
    directoryId: "dir-b",
    starts: 2,
    admission: () => NO_INDEX,
    lastIndex: () => NO_INDEX,
  };
  const directories = await PeerDirectories.open(new MemoryDisk(), () => founders);
  const heard: Message[] = [];
  const inbound = new Inbound(
    { identity, peers: new Map([[a, ""]]), requireCertificates: false, directories },
    { log: logTo([], true), onMessage: (_from, message) => heard.push(message), onOpened: () => {}, onClosed: () => {} },
  );
  const speaks = (call: FakeCall, round: number) => call.emit("data", { messages: [raftMessageToProto(heartbeat(round))] });
  const connect = async (starts: number): Promise<FakeCall> => {
    const call = new FakeCall();
    inbound.accept(call as never);
    const caller = { ...identity, self: a, directoryId: "dir-a", incarnation: starts, starts };
    call.emit("data", { hello: helloTo(b, caller), messages: [] });
    await until(() => call.written > 0);
    return call;
  };
  const earlier = await connect(1);
  speaks(earlier, 1);
  const newer = await connect(2);
  speaks(earlier, 2);
  speaks(newer, 3);
  assert.deepEqual(
    heard.map((message) => message.kind === "heartbeat" && message.readRound),
    [1, 3],
  );
});

test("who was added since it connected is not listened to before it has introduced itself anew (docs/decisions/0012)", async () => {
  let membership = { index: LogIndex(5), configuration: settledConfiguration([b]) };
  const identity = { self: b, clusterId: ClusterId("blue"), incarnation: 2, directoryId: "dir-b", starts: 2 };
  const us = { ...identity, admission: () => NO_INDEX, lastIndex: () => NO_INDEX };
  const directories = await PeerDirectories.open(new MemoryDisk(), () => membership);
  const heard: string[] = [];
  const inbound = new Inbound(
    { identity: us, peers: new Map([[a, ""]]), requireCertificates: false, directories },
    {
      log: logTo([], true),
      onMessage: (_from, message) => heard.push(message.kind),
      onOpened: () => heard.push("opened"),
      onClosed: () => heard.push("closed"),
    },
  );
  const connect = async (): Promise<FakeCall> => {
    const call = new FakeCall();
    inbound.accept(call as never);
    call.emit("data", { hello: helloTo(b, { ...us, self: a, directoryId: "dir-a" }), messages: [] });
    await until(() => call.written > 0);
    return call;
  };
  const speaks = (call: FakeCall) => call.emit("data", { messages: [raftMessageToProto(heartbeat(1))] });
  const before = await connect();
  speaks(before);
  const configuration = { ...settledConfiguration([b], [a]), admissions: [{ node: a, index: LogIndex(9) }] };
  membership = { index: LogIndex(9), configuration };
  speaks(before);
  speaks(before);
  speaks(await connect());
  assert.deepEqual(heard, ["opened", "heartbeat", "closed", "opened", "heartbeat"]);
});

test("a follower meets who was added though it says nothing, so that it is refused when it is wiped (simulator, seed 752)", async () => {
  let membership = { index: LogIndex(5), configuration: settledConfiguration([a]) };
  const directories = await PeerDirectories.open(new MemoryDisk(), () => membership);
  const { left } = await pair({ directories });
  const wiped = { directoryId: "another", starts: 1, incarnation: 2, admission: NO_INDEX };
  const isWelcome = () => directories.judge(b, wiped).kind === "welcome";
  const configuration = { ...settledConfiguration([a], [b]), admissions: [{ node: b, index: LogIndex(9) }] };
  membership = { index: LogIndex(9), configuration };
  assert.ok(isWelcome(), "it was met as a stranger, of whom nothing is remembered");
  left.links.members(new Set([a, b]));
  await until(() => !isWelcome());
});

test("who is added while its introduction is written down has to introduce itself anew", async () => {
  let membership = { index: LogIndex(5), configuration: settledConfiguration([b]) };
  const identity = { self: b, clusterId: ClusterId("blue"), incarnation: 2, directoryId: "dir-b", starts: 2 };
  const us = { ...identity, admission: () => NO_INDEX, lastIndex: () => NO_INDEX };
  const real = await PeerDirectories.open(new MemoryDisk(), () => membership);
  const directories: Pick<PeerDirectories, "admits" | "judge" | "meet"> = {
    admits: (...args) => real.admits(...args),
    judge: (...args) => real.judge(...args),
    meet: async (...args) => {
      const verdict = await real.meet(...args);
      const configuration = { ...settledConfiguration([b], [a]), admissions: [{ node: a, index: LogIndex(9) }] };
      membership = { index: LogIndex(9), configuration };
      return verdict;
    },
  };
  const opened: NodeId[] = [];
  const inbound = new Inbound(
    { identity: us, peers: new Map([[a, ""]]), requireCertificates: false, directories },
    { log: logTo([], true), onMessage: () => {}, onOpened: (peer) => opened.push(peer), onClosed: () => {} },
  );
  const introduces = async (): Promise<FakeCall> => {
    const call = new FakeCall();
    inbound.accept(call as never);
    call.emit("data", { hello: helloTo(b, { ...us, self: a, directoryId: "dir-a" }), messages: [] });
    await until(() => call.isEnded || call.written > 0);
    return call;
  };
  assert.equal((await introduces()).isEnded, true);
  assert.deepEqual(opened, []);
  assert.equal((await introduces()).isEnded, false);
  assert.deepEqual(opened, [a]);
});

test("the loss of a peer is noticed at once, and its return within a second", async () => {
  const { left, right } = await pair();
  await right.links.close();
  await until(() => left.events.includes("-b"));
  assert.deepEqual([...left.links.connected()], []);
  await new Promise((resolve) => setTimeout(resolve, 400)); // let the back-off grow
  const startedAt = performance.now();
  const again = await node(b, { port: right.port, peers: new Map([[a, `127.0.0.1:${left.port}`]]) });
  await until(() => left.links.connected().has(b) && again.links.connected().has(a));
  assert.ok(performance.now() - startedAt < 1_000, `took ${performance.now() - startedAt} ms`);
  left.links.send(b, heartbeat(7));
  await until(() => again.messages.length === 1);
});

test("only members are dialled, but whoever speaks is answered; a member that is dropped and stops is not dialled again", async () => {
  const peersOfLeft = new Map<NodeId, string>();
  const left = await node(a, { peers: peersOfLeft.set(b, `127.0.0.1:${await freePort()}`), dialAtFirst: new Set() });
  const port = Number(peersOfLeft.get(b)!.split(":")[1]);
  const right = await node(b, { port, peers: new Map([[a, `127.0.0.1:${left.port}`]]), dialAtFirst: new Set() });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual([left.links.connected().size, right.links.connected().size], [0, 0], "neither knows the other as a member");
  right.links.members(new Set([a]));
  await until(() => left.links.connected().has(b) && right.links.connected().has(a));
  left.links.send(b, heartbeat(1));
  await until(() => right.messages.length === 1);
  await right.links.close();
  await until(() => left.events.includes("-b"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(left.warnings, [], "no attempt to reach what is no member");
});

test("a node that has moved is followed to where it says it is, once it is not found where it was", async () => {
  const port = await freePort();
  const left = await node(a, { peers: new Map([[b, "127.0.0.1:1"]]) });
  assert.equal(left.links.openAt(b), null);
  const right = await node(b, { port, address: `127.0.0.1:${port}`, peers: new Map([[a, `127.0.0.1:${left.port}`]]) });
  await until(() => left.links.connected().has(b) && right.links.connected().has(a));
  assert.equal(left.links.openAt(b), `127.0.0.1:${port}`);
  left.links.send(b, heartbeat(1));
  await until(() => right.messages.length === 1);
});

test("what does not fit into the queue of a slow peer is dropped whole", async () => {
  const { left, right } = await pair({ maxQueueBytes: 1_000 });
  for (let round = 1; round <= 100; round += 1) left.links.send(b, heartbeat(round));
  left.links.send(NodeId("nobody"), heartbeat(1));
  await until(() => right.messages.length > 0);
  left.links.send(b, heartbeat(999));
  await until(() => right.messages.some((message) => message.kind === "heartbeat" && message.readRound === 999));
  assert.equal(right.messages.length, Math.floor(1_000 / 64) + 1);
});

test("a port in use is an error that names the port", async () => {
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
  const address = blocker.address();
  assert.ok(address !== null && typeof address === "object");
  try {
    await assert.rejects(node(a, { port: address.port }), (error: Error) => error.message.includes(`peer port ${address.port} `));
  } finally {
    // A listener left open would hold the whole suite when the assertion fails.
    await new Promise((resolve) => blocker.close(resolve));
  }
});

interface TestNode {
  readonly links: GrpcPeerLinks;
  readonly port: number;
  readonly messages: Message[];
  readonly events: string[];
  readonly warnings: string[];
}

interface TestOptions {
  readonly clusterId?: string;
  readonly peers?: Map<NodeId, string>;
  readonly port?: number;
  readonly maxQueueBytes?: number;
  readonly dialAtFirst?: ReadonlySet<NodeId>;
  readonly address?: string;
  readonly directories?: PeerDirectories;
}

async function pair(
  options: Pick<TestOptions, "maxQueueBytes" | "directories"> = {},
): Promise<{ left: TestNode; right: TestNode }> {
  const peersOfLeft = new Map<NodeId, string>();
  const reserved = await freePort();
  peersOfLeft.set(b, `127.0.0.1:${reserved}`);
  const left = await node(a, { peers: peersOfLeft, ...options });
  const right = await node(b, { port: reserved, peers: new Map([[a, `127.0.0.1:${left.port}`]]) });
  await until(() => left.links.connected().has(b) && right.links.connected().has(a));
  return { left, right };
}

async function node(self: NodeId, { clusterId = "test", peers, port = 0, directories, ...more }: TestOptions): Promise<TestNode> {
  const messages: Message[] = [];
  const events: string[] = [];
  const warnings: string[] = [];
  const links = createPeerLinks(
    {
      self,
      clusterId: ClusterId(clusterId),
      incarnation: 1,
      directoryId: `directory of ${self}`,
      starts: 1,
      admission: () => NO_INDEX,
      lastIndex: () => NO_INDEX,
      peers: peers ?? new Map([[self === a ? b : a, "127.0.0.1:1"]]),
      listen: { host: "127.0.0.1", port },
      tls: null,
      ...more,
    },
    {
      timers: systemTimers(),
      random: seededRandom(1),
      log: logTo(warnings, peers === undefined),
      directories: directories ?? (await PeerDirectories.open(new MemoryDisk(), () => founders)),
      onDirectory: () => {},
    },
    {
      onMessage: (_from, message) => messages.push(message),
      onConnected: (peer) => events.push(`+${peer}`),
      onDisconnected: (peer) => events.push(`-${peer}`),
    },
  );
  open.push(links);
  return { links, port: await links.start(), messages, events, warnings };
}

/** The accepting end of a stream, on which a test says what arrives and when. */
class FakeCall extends EventEmitter {
  written = 0;
  isEnded = false;
  readonly cancelled = false;

  write(): void {
    this.written += 1;
  }

  end(): void {
    this.isEnded = true;
  }
}

/** A node without a real peer complains about its unreachable one: not what a test looks at. */
function logTo(warnings: string[], ignoreLinks: boolean): Log {
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (message, fields) => {
      if (!ignoreLinks || message !== "no link to peer") warnings.push(`${message}: ${String(fields?.["why"])}`);
    },
    error: (message) => warnings.push(message),
    child: () => log,
  };
  return log;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  assert.ok(address !== null && typeof address === "object");
  await new Promise((resolve) => probe.close(resolve));
  return address.port;
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, "it did not happen within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function heartbeat(readRound: number): Message {
  return { kind: "heartbeat", from: a, to: b, term: 3 as Term, commitIndex: 0 as LogIndex, readRound };
}

function append(entries: readonly Entry[]): Message {
  const at = { prevIndex: 0 as LogIndex, prevTerm: 0 as Term, commitIndex: 0 as LogIndex };
  return { kind: "append", from: a, to: b, term: 3 as Term, ...at, entries };
}

function entryAt(index: number): Entry {
  return {
    term: 3 as Term,
    index: index as LogIndex,
    kind: "command",
    clusterTimeMs: index as Entry["clusterTimeMs"],
    wallTimeMs: index as Entry["wallTimeMs"],
    data: new Uint8Array(100 * index).fill(index),
  };
}
