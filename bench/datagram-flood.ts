import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MonotonicMs, NodeId, seededRandom } from "#kernel";
import { Address, createSwim, Digest, profileHashOf, type SwimCore, swimProfiles } from "#membership/core";
import { nodeAead } from "../src/host/aead.ts";
import { Keyring } from "../src/membership/core/swim/keyring.ts";
import { ProbeNumber } from "../src/membership/core/swim/message.ts";
import { Wire } from "../src/membership/core/swim/wire.ts";

const TARGET_POINTS = 3;
const SAMPLES = 5_000;
const STEP_MS = 10;
/** Version, kind, label and key hint: what everybody on the path can read and repeat. */
const READABLE_BYTES = 8;

interface Flood {
  readonly port: number;
  readonly perSecond: number;
  readonly datagrams: readonly Uint8Array[];
}

if (!isMainThread) await send(workerData as Flood);

/** Processor time of the thread that reads hostile datagrams, above that of an empty handler, over a real socket. */
export async function datagramFlood(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "4" },
      rounds: { type: "string", default: "3" },
      rate: { type: "string", default: "1000" },
    },
  });
  const [seconds, rate] = [Number(values.seconds), Number(values.rate)];
  const secret = randomBytes(32);
  const own = genuine("hex", secret);
  const attacks: Readonly<Record<string, readonly Uint8Array[]>> = {
    "empty handler": many(() => randomBytes(200)),
    "random bytes": many(() => randomBytes(200)),
    "another cluster's": [genuine("go", secret)],
    "forged behind a genuine head": many(() => Buffer.concat([own.subarray(0, READABLE_BYTES), randomBytes(192)])),
    replayed: [own],
  };
  const points = new Map<string, number[]>(Object.keys(attacks).map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, datagrams] of Object.entries(attacks)) {
      const core = name === "empty handler" ? null : member(secret);
      core?.handleDatagram(MonotonicMs(performance.now()), Address("192.0.2.1:8771"), own);
      points.get(name)!.push(await measure(core, { datagrams, perSecond: rate }, seconds));
    }
  }
  const floor = median(points.get("empty handler")!);
  console.log(
    `${rate} datagrams a second, median of ${values.rounds} rounds of ${seconds} s, processor time of the reading thread`,
  );
  for (const [name, measured] of points) {
    const above = median(measured) - floor;
    console.log(
      `${name.padEnd(30)} ${median(measured).toFixed(2)} % of a core, ${above.toFixed(2)} points above the empty handler`,
    );
    if (above > TARGET_POINTS) process.exitCode = 1;
  }
  console.log(`target: at most ${TARGET_POINTS} points: ${process.exitCode === 1 ? "NOT met" : "met"}`);
}

/** Per cent of a core. */
async function measure(core: SwimCore | null, flood: Omit<Flood, "port">, seconds: number): Promise<number> {
  const socket = createSocket("udp4");
  let received = 0;
  socket.on("message", (bytes, { address, port }) => {
    received++;
    core?.handleDatagram(MonotonicMs(performance.now()), Address(`${address}:${port}`), bytes);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address() as AddressInfo;
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...flood, port } satisfies Flood });
  try {
    await once(socket, "message");
    await pause(500);
    received = 0;
    const [startedAt, before] = [performance.now(), process.threadCpuUsage()];
    await pause(seconds * 1_000);
    const used = process.threadCpuUsage(before);
    const elapsedMs = performance.now() - startedAt;
    const perSecond = (received / elapsedMs) * 1_000;
    if (Math.abs(perSecond / flood.perSecond - 1) > 0.1) console.warn(`only ${perSecond.toFixed(0)} a second arrived`);
    return (used.user + used.system) / elapsedMs / 10;
  } finally {
    await worker.terminate();
    socket.close();
  }
}

async function send({ port, perSecond, datagrams }: Flood): Promise<void> {
  const socket = createSocket("udp4");
  const startedAt = performance.now();
  for (let sent = 0; ; await pause(STEP_MS)) {
    for (const due = ((performance.now() - startedAt) / 1_000) * perSecond; sent < due; sent++) {
      socket.send(datagrams[sent % datagrams.length]!, port, "127.0.0.1");
    }
  }
}

function member(secret: Uint8Array): SwimCore {
  const made = createSwim(MonotonicMs(performance.now()), {
    id: NodeId("n2"),
    label: "hex",
    epoch: 1,
    addresses: [Address("127.0.0.1:8771")],
    metadata: { role: "worker", provider: "bench", capabilities: [], version: "1", degraded: false, keys: [], voters: null },
    options: swimProfiles.mesh,
    seeds: [{ id: null, addresses: [Address("127.0.0.1:8772")] }],
    keys: [secret],
    aead: nodeAead,
    random: seededRandom(1),
    allow: { ids: [], networks: [] },
  });
  if (!made.ok) throw new Error(made.refusal.message);
  return made.value;
}

/** A ping for "n2". */
function genuine(label: string, secret: Uint8Array): Uint8Array {
  const keyring = Keyring.of(nodeAead, [secret]);
  if (!keyring.ok) throw new Error(keyring.refusal.message);
  return new Wire({ label, keyring: keyring.value, aead: nodeAead }, swimProfiles.mesh).datagram({
    sender: NodeId("n1"),
    incarnation: { epoch: 1, counter: 0 },
    digest: Digest(0),
    profile: profileHashOf(swimProfiles.mesh),
    messages: [{ kind: "ping", probe: ProbeNumber(1), target: NodeId("n2") }],
  });
}

function many(make: () => Uint8Array): Uint8Array[] {
  return Array.from({ length: SAMPLES }, make);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
