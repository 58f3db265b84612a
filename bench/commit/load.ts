import { performance } from "node:perf_hooks";

/** One system under test: a way to commit one 256-byte command, durable on a majority of three. */
export interface System {
  readonly name: "ringraft" | "floor" | "etcd";
  /** Commits one command for caller number `caller`; resolves when it is acknowledged. */
  commit(caller: number): Promise<unknown>;
  close(): Promise<void>;
}

export interface Row {
  readonly system: System["name"];
  readonly callers: number;
  readonly ops_per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** Closed loop: each of `callers` sends its next command when the last one was acknowledged. */
export async function load(system: System, callers: number, seconds: number): Promise<Row> {
  await run(system, callers, Math.min(1, seconds / 3));
  const latencies = await run(system, callers, seconds);
  latencies.values.sort();
  return {
    system: system.name,
    callers,
    ops_per_s: Math.round(latencies.values.length / latencies.elapsedSeconds),
    p50_ms: quantile(latencies.values, 0.5),
    p99_ms: quantile(latencies.values, 0.99),
  };
}

async function run(system: System, callers: number, seconds: number): Promise<{ values: Float64Array; elapsedSeconds: number }> {
  const collected: number[] = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let now = performance.now(); now < until;) {
        await system.commit(caller);
        const after = performance.now();
        collected.push(after - now);
        now = after;
      }
    }),
  );
  return { values: Float64Array.from(collected), elapsedSeconds: (performance.now() - started) / 1000 };
}

function quantile(sorted: Float64Array, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
  return Math.round(value * 1000) / 1000;
}
