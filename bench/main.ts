import { commit } from "./commit/main.ts";
import { datagramFlood } from "./datagram-flood.ts";
import { failover } from "./failover.ts";
import { idle } from "./idle.ts";
import { members } from "./members.ts";
import { recovery } from "./recovery.ts";

const benchmarks: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  commit,
  "datagram-flood": datagramFlood,
  failover,
  idle,
  members,
  recovery,
};

const [name, ...args] = process.argv.slice(2);
const benchmark = benchmarks[name ?? ""];
if (benchmark === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(benchmarks).join(" | ")} [options]
  commit   [--json FILE] [--seconds N] [--callers 1,16,64,256,1024] [--systems ringraft,floor,etcd] [--command progress|enqueue]
  failover [--kills N] [--callers 256] [--signal SIGKILL|SIGTERM] [--json FILE]   write unavailability when the leader ends
  datagram-flood [--rate 1000] [--seconds 4] [--rounds 3]   what hostile datagrams cost a member of the cluster
  idle     [--seconds N]               memory and processor time of idle voters
  members  [--agents 36] [--kills 9] [--seconds 60] [--base-port N] [--json FILE]   a whole membership on this machine
  recovery [--items N] [--log N] [--data DIR] [--json FILE]   a voter with a million items: start, memory, snapshot`);
  process.exit(2);
}
await benchmark(args);
