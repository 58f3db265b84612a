// Loaded into a node under test (NODE_OPTIONS=--require): SIGUSR2 blocks its main thread for five seconds, as a long garbage
// collection or a hot loop would.
const { isMainThread } = require("node:worker_threads");
if (isMainThread) {
  process.on("SIGUSR2", () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);
  });
}
