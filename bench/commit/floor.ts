import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { channelOptions, connectPath, rawMethod } from "./floor-wire.ts";
import type { System } from "./load.ts";
import { freePorts, ProcessGroup } from "./processes.ts";

/** Starts the floor's three processes and one client stream; every command is the same opaque 256 bytes. */
export async function startFloor(commandBytes: number): Promise<System> {
  const group = new ProcessGroup();
  const [leader, first, second] = await freePorts(3);
  const voter = fileURLToPath(new URL("./floor-voter.ts", import.meta.url));
  const start = async (name: string, ...ports: number[]): Promise<void> => {
    const child = group.start(process.execPath, [voter, join(group.folder, name), ...ports.map(String)]);
    await once(child.stdout!, "data");
  };
  await start("first", first!);
  await start("second", second!);
  await start("leader", leader!, first!, second!);

  const client = new grpc.Client(`127.0.0.1:${leader}`, grpc.credentials.createInsecure(), channelOptions);
  const stream = client.makeBidiStreamRequest(connectPath, rawMethod.requestSerialize, rawMethod.responseDeserialize);
  const command = Buffer.alloc(commandBytes, 0x61);
  let waiting: (() => void)[] = [];
  let unanswered: (() => void)[] = [];
  let at = 0;
  stream.on("data", (reply: Buffer) => {
    for (let left = reply.readDoubleLE() / commandBytes; left > 0; left -= 1) unanswered[at++]!();
    if (at > 65_536) {
      unanswered = unanswered.slice(at);
      at = 0;
    }
  });
  stream.on("error", () => {});
  const flush = (): void => {
    const count = waiting.length;
    for (const resolve of waiting) unanswered.push(resolve);
    waiting = [];
    stream.write(Buffer.concat(Array.from({ length: count }, () => command)));
  };
  return {
    name: "floor",
    commit: () =>
      new Promise<void>((resolve) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push(resolve);
      }),
    close: async () => {
      stream.cancel();
      client.close();
      await group.stop();
    },
  };
}
