import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BinaryWriter } from "@protobuf-ts/runtime";
import * as grpc from "@grpc/grpc-js";
import type { System } from "./load.ts";
import { freePorts, ProcessGroup } from "./processes.ts";

/** The version line of an etcd on the PATH, or null when there is none. */
export function etcdVersion(): string | null {
  const found = spawnSync("etcd", ["--version"], {
    encoding: "utf8",
    env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
  });
  return found.status === 0 ? found.stdout.split("\n")[0]! : null;
}

/** Three etcd members on loopback with their default fsync; each caller puts a value of `commandBytes` under its own key. */
export async function startEtcd(commandBytes: number): Promise<System> {
  const group = new ProcessGroup();
  const ports = await freePorts(6);
  const names = ["e1", "e2", "e3"];
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  const cluster = names.map((name, at) => `${name}=${url(ports[at + 3]!)}`).join(",");
  names.forEach((name, at) => {
    const client = url(ports[at]!);
    const peer = url(ports[at + 3]!);
    const options = {
      name,
      "data-dir": join(group.folder, name),
      logger: "zap",
      "log-level": "error",
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": cluster,
      "initial-cluster-state": "new",
    };
    group.start(
      "etcd",
      Object.entries(options).map(([option, value]) => `--${option}=${value}`),
    );
  });
  const endpoint = await leaderOf(ports.slice(0, 3));
  const client = new grpc.Client(endpoint, grpc.credentials.createInsecure());
  const value = Buffer.alloc(commandBytes, 0x61);
  return {
    name: "etcd",
    commit: (caller) => put(client, Buffer.from(`bench/${caller}`), value),
    close: async () => {
      client.close();
      await group.stop();
    },
  };
}

function put(client: grpc.Client, key: Buffer, value: Buffer): Promise<void> {
  const request = Buffer.from(new BinaryWriter().tag(1, 2).bytes(key).tag(2, 2).bytes(value).finish());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest("/etcdserverpb.KV/Put", raw, raw, request, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Callers go to the leader itself, which saves etcd the forwarding hop. */
async function leaderOf(ports: readonly number[]): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    for (const port of ports) {
      const found = spawnSync("etcdctl", ["--endpoints", `127.0.0.1:${port}`, "endpoint", "status", "-w", "json"], {
        encoding: "utf8",
        env: { ...process.env, ETCDCTL_API: "3" },
      });
      if (found.error !== undefined) return firstHealthy(ports);
      if (found.status !== 0) continue;
      const status = (JSON.parse(found.stdout) as { Status: { leader: number; header: { member_id: number } } }[])[0]!.Status;
      if (status.leader !== 0 && status.leader === status.header.member_id) return `127.0.0.1:${port}`;
    }
    await pause(100);
  }
  throw new Error("etcd elected no leader within 10 s");
}

/** Without etcdctl (Debian has it in another package): any member that commits will do; it forwards to the leader. */
async function firstHealthy(ports: readonly number[]): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const client = new grpc.Client(`127.0.0.1:${ports[0]}`, grpc.credentials.createInsecure());
    const committed = await put(client, Buffer.from("probe"), Buffer.from("1")).then(
      () => true,
      () => false,
    );
    client.close();
    if (committed) return `127.0.0.1:${ports[0]}`;
    await pause(100);
  }
  throw new Error("etcd committed nothing within 10 s");
}

const raw = (bytes: Buffer): Buffer => bytes;
