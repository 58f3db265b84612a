import { parseArgs } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import { ProcessGroup } from "./commit/processes.ts";
import { cpuSeconds, leaderOf, localVoters, residentMb, startVoter } from "./local-voters.ts";

const MEMORY_TARGET_MB = 120;
const CPU_TARGET_PERCENT = 3;

/** Resident memory and processor time of idle voters, on their second start (the compile cache is warm). Linux only. */
export async function idle(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { seconds: { type: "string", default: "30" } } });
  const seconds = Number(values.seconds);
  const group = new ProcessGroup();
  try {
    const layout = await localVoters(group, 5);
    const start = () => layout.nodes.map((node) => startVoter(group, layout, node.name));
    const first = start();
    await leaderOf(layout);
    await pause(3_000);
    await Promise.all(
      first.map((child) => {
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGTERM");
        return gone;
      }),
    );
    const second = start();
    await leaderOf(layout);
    await pause(5_000);
    const before = second.map((child) => cpuSeconds(child.pid!));
    await pause(seconds * 1000);
    let met = true;
    second.forEach((child, at) => {
      const cpu = ((cpuSeconds(child.pid!) - before[at]!) / seconds) * 100;
      const memory = residentMb(child.pid!);
      if (cpu >= CPU_TARGET_PERCENT || memory >= MEMORY_TARGET_MB) met = false;
      console.log(`${layout.nodes[at]!.name}: ${memory.toFixed(0)} MB resident, ${cpu.toFixed(2)} % of one core`);
    });
    console.log(`targets: under ${MEMORY_TARGET_MB} MB and ${CPU_TARGET_PERCENT} %: ${met ? "met" : "NOT met"}`);
    if (!met) process.exitCode = 1;
  } finally {
    await group.stop();
  }
}
