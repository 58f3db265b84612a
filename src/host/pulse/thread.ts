import { createServer } from "node:http";
import { flushCompileCache } from "node:module";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { Answers } from "./answers.ts";
import { BEAT_MS, type FromPulse, type PulseStart, type ToPulse } from "./messages.ts";
import { Posts } from "./posts.ts";
import { harden, serve } from "./serve.ts";

/**
 * The pulse thread: it answers for the node while main is busy. Nothing but node:http is loaded here, so the thread costs a
 * few megabytes and nothing of ours can block it.
 */
const start = workerData as PulseStart;
const beats = new Int32Array(start.beats);
const answers = new Answers(start.nodeId, () => performance.now());
const server = createServer({ maxHeaderSize: 8_192, connectionsCheckingInterval: 1_000 });
harden(server);
const posts = new Posts(start.posts, tell);
serve(server, answers, posts);

let lastBeat = Atomics.load(beats, 0);
const watch = setInterval(() => {
  const beat = Atomics.load(beats, 0);
  if (beat !== lastBeat) answers.mainBeat();
  lastBeat = beat;
}, BEAT_MS);

parentPort?.on("message", (message: ToPulse) => {
  switch (message.kind) {
    case "snapshot":
      answers.accept(message.snapshot);
      return;
    case "answer":
      posts.answered(message.id, message.code, message.body);
      return;
    case "close":
      close();
  }
});

server.once("error", (error: NodeJS.ErrnoException) => {
  tell({ kind: "failed", code: error.code ?? "UNKNOWN", message: error.message });
  close();
});
server.listen(start.port, start.host, () => {
  tell({ kind: "listening", port: (server.address() as AddressInfo).port });
  // A node may die by SIGKILL and would strip and compile everything again.
  flushCompileCache();
});

function tell(message: FromPulse): void {
  parentPort?.postMessage(message, []);
}

function close(): void {
  clearInterval(watch);
  server.close();
  server.closeAllConnections();
  parentPort?.close();
}
