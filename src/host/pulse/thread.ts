import { createServer } from "node:http";
import { flushCompileCache } from "node:module";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { Answers } from "./answers.ts";
import { BEAT_MS, DEGRADED_AFTER_MS, type FromPulse, PRESENT_MS, type PulseStart, type ToPulse } from "./messages.ts";
import { Posts } from "./posts.ts";
import { harden, serve } from "./serve.ts";

/**
 * The pulse thread: it answers for the node while main is busy, to HTTP and to the other members. A node without membership
 * loads nothing but node:http here, so the thread then costs a few megabytes.
 */
const start = workerData as PulseStart;
const beats = new Int32Array(start.beats);
const present = new Int32Array(start.present);
const detectors = await openDetectors();
const answers = new Answers(start, () => performance.now(), detectors?.pages ?? null);
const server = createServer({ maxHeaderSize: 8_192, connectionsCheckingInterval: 1_000 });
harden(server);
const posts = new Posts(start.posts, tell, (body) => detectors?.changeKeys(body) ?? Promise.resolve(null));
serve(server, answers, posts, (asker) => detectors?.contact(asker));

let lastBeat = Atomics.load(beats, 0);
/** Looks of this thread, not time: a process that was paused as a whole has not been left alone by its main thread. */
let silentLooks = 0;
const limits = { degradedAfterMs: DEGRADED_AFTER_MS, stalledAfterMs: start.maxMainStallMs };
const watch = setInterval(() => {
  const beat = Atomics.load(beats, 0);
  if (beat !== lastBeat) answers.mainBeat();
  silentLooks = beat === lastBeat ? silentLooks + 1 : 0;
  lastBeat = beat;
  detectors?.mainSilent(silentLooks * BEAT_MS, limits);
}, BEAT_MS);
const count =
  detectors === null ? undefined : setInterval(() => Atomics.store(present, 0, detectors.present() ?? -1), PRESENT_MS);

parentPort?.on("message", (message: ToPulse) => {
  switch (message.kind) {
    case "snapshot":
      answers.accept(message.snapshot);
      detectors?.ownStatus(message.snapshot.status);
      return;
    case "answer":
      posts.answered(message.id, message.code, message.body);
      return;
    case "join":
      return detectors?.join(message.lives);
    case "look":
      return tell({ kind: "seen", id: message.id, testimony: detectors?.testimony(message.about) ?? null });
    case "remove":
      return detectors?.remove(message.removals);
    case "leave":
      void detectors?.leave();
      return;
    case "close":
      close();
  }
});

server.once("error", (error: NodeJS.ErrnoException) => {
  tell({ kind: "failed", listener: "http", code: error.code ?? "UNKNOWN", message: error.message });
  close();
});
server.listen(start.port, start.host, () => {
  tell({ kind: "listening", port: (server.address() as AddressInfo).port });
  // A node may die by SIGKILL and would strip and compile everything again.
  flushCompileCache();
});

async function openDetectors() {
  const { membership } = start;
  if (membership === null) return null;
  const { Detectors } = await import("./detectors.ts");
  try {
    return await Detectors.open(membership, (event) => tell({ kind: "membership", event }));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    tell({ kind: "failed", listener: "membership", code: code ?? "UNKNOWN", message });
    return process.exit();
  }
}

function tell(message: FromPulse): void {
  parentPort?.postMessage(message, []);
}

function close(): void {
  clearInterval(watch);
  clearInterval(count);
  detectors?.close();
  server.close();
  server.closeAllConnections();
  parentPort?.close();
}
