import { flushCompileCache } from "node:module";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * To be called once by main, when the node has started. Writes the compile cache now, because a node may die by SIGKILL and
 * would strip and compile everything again. Then gives back what only the start needed: segments that were read,
 * sources, schemas, and a young generation grown by loading, together up to 80 MB. V8 would keep them for minutes, because an
 * idle node makes too little garbage to be worth a collection. The young generation may grow again under load.
 */
export function settle(): void {
  flushCompileCache();
  // The pause follows the size of the heap: a node that has recovered much must not sleep through an election for this.
  if (getHeapStatistics().used_heap_size <= MAX_HEAP_BYTES) collectAll();
}

/** A heap of 15 MB, that of a node without state, costs 70 ms; this limit about 0.3 s, still less than an election takes. */
const MAX_HEAP_BYTES = 64 * 1024 * 1024;

type Collect = (options: { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" }) => void;

function collectAll(): void {
  // The flag shows `gc` to contexts made while it is set: nothing else in the process sees it.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
