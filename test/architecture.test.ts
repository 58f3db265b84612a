import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/**
 * The rooms of the house and what each may import (docs/architecture.md). The longest matching folder decides.
 * `packages` are libraries and `node:` modules; a room that names none is pure.
 */
const rooms: Readonly<Record<string, { readonly rooms: readonly string[]; readonly packages: readonly string[] }>> = {
  kernel: { rooms: [], packages: [] },
  ports: { rooms: ["kernel"], packages: [] },
  raft: { rooms: ["kernel"], packages: [] },
  statemachine: { rooms: ["kernel"], packages: [] },
  "client/core": { rooms: ["kernel"], packages: [] },
  "agent/core": { rooms: ["kernel"], packages: [] },
  "membership/core": { rooms: ["kernel", "ports"], packages: [] },
  codec: { rooms: ["kernel", "gen", "raft", "statemachine"], packages: ["@protobuf-ts/runtime"] },
  storage: { rooms: ["kernel", "ports", "raft"], packages: ["node:zlib", "node:crypto"] },
  consensus: { rooms: ["kernel", "ports", "raft", "storage"], packages: [] },
  replica: { rooms: ["kernel", "ports", "codec", "consensus", "statemachine", "raft"], packages: [] },
  membership: { rooms: ["kernel", "ports", "membership/core"], packages: [] },
  observe: { rooms: ["kernel", "ports"], packages: [] },
  "api/grpc": {
    rooms: ["kernel", "ports", "gen", "codec", "replica", "statemachine", "observe"],
    packages: ["@grpc/grpc-js", "@grpc/reflection", "grpc-health-check", "@protobuf-ts/runtime", "@protobuf-ts/runtime-rpc"],
  },
  api: { rooms: ["kernel", "ports", "gen", "codec", "replica", "statemachine", "observe"], packages: [] },
  client: { rooms: ["kernel", "gen", "codec", "statemachine", "client/core"], packages: ["@grpc/grpc-js"] },
  agent: { rooms: ["kernel", "ports", "client", "statemachine", "agent/core", "config"], packages: [] },
  config: { rooms: ["kernel", "membership/core"], packages: ["yaml", "zod", "node:fs", "node:path", "node:os"] },
  node: {
    rooms: ["kernel", "ports", "codec", "raft", "statemachine", "storage", "consensus", "replica", "observe", "config"],
    packages: [],
  },
  sim: {
    rooms: [
      "kernel",
      "ports",
      "codec",
      "raft",
      "statemachine",
      "storage",
      "consensus",
      "replica",
      "client/core",
      "agent/core",
      "membership",
      "membership/core",
      "node",
    ],
    packages: ["node:"],
  },
  host: {
    rooms: [
      "kernel",
      "ports",
      "gen",
      "codec",
      "raft",
      "storage",
      "statemachine",
      "replica",
      "node",
      "api",
      "client",
      "agent",
      "membership",
      "membership/core",
      "config",
      "observe",
    ],
    packages: ["@grpc/grpc-js", "pino", "node:"],
  },
  cli: {
    rooms: [
      "kernel",
      "ports",
      "codec",
      "client",
      "config",
      "raft",
      "statemachine",
      "storage",
      "consensus",
      "membership/core",
      "node",
      "host",
      "sim",
    ],
    packages: ["node:"],
  },
};

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "src");
const source = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .filter((path) => !path.startsWith("gen/"))
  .toSorted();

test("every source file stands in a room of the house", () => {
  assert.deepEqual(
    source.filter((path) => roomOf(path) === null),
    [],
  );
});

test("a room imports only the rooms and libraries that its row allows", () => {
  assert.deepEqual(
    source.flatMap((path) => forbiddenImports(path, readFileSync(join(root, path), "utf8"))),
    [],
  );
});

test("rooms are entered by their door: #room, never a path into another room", () => {
  const inside = source.flatMap((path) =>
    importsOf(readFileSync(join(root, path), "utf8"))
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => relative(root, resolve(root, dirname(path), specifier)))
      .filter((target) => topOf(target) !== topOf(path))
      .map((target) => `${path} reaches into ${target}`),
  );
  assert.deepEqual(inside, []);
});

test("pure rooms have no clock, no randomness and no promise", () => {
  const banned =
    /\b(Date\.now|new Date|performance\.|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|Promise|async |await )/;
  const found = source
    .filter((path) =>
      ["kernel", "raft", "statemachine", "client/core", "agent/core", "membership/core"].includes(roomOf(path) ?? ""),
    )
    .flatMap((path) =>
      withoutComments(readFileSync(join(root, path), "utf8"))
        .split("\n")
        .filter((line) => banned.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );
  assert.deepEqual(found, []);
});

test("the import rule notices what it forbids", () => {
  assert.deepEqual(forbiddenImports("raft/x.ts", 'import { openWal } from "#storage";\n'), [
    "raft may not import storage (raft/x.ts)",
  ]);
  assert.deepEqual(forbiddenImports("raft/x.ts", 'import fs from "node:fs";\n'), ["raft may not import node:fs (raft/x.ts)"]);
  assert.deepEqual(forbiddenImports("host/x.ts", 'import fs from "node:fs";\n'), []);
});

function forbiddenImports(path: string, text: string): string[] {
  const room = roomOf(path);
  if (room === null) return [];
  const allowed = rooms[room]!;
  return importsOf(text)
    .filter((specifier) => !specifier.startsWith("."))
    .filter((specifier) => !isAllowed(specifier, room, allowed))
    .map((specifier) => `${room} may not import ${specifier.replace(/^#/, "")} (${path})`);
}

function isAllowed(specifier: string, room: string, allowed: (typeof rooms)[string]): boolean {
  if (specifier.startsWith("#")) {
    // A pure core has a door of its own (#client/core): the simulator takes the core without its room.
    const target = specifier.slice(1) in rooms ? specifier.slice(1) : specifier.slice(1).split("/")[0]!;
    return topOf(target) === topOf(room) || allowed.rooms.includes(target);
  }
  return allowed.packages.some((name) => specifier === name || (name === "node:" && specifier.startsWith("node:")));
}

function roomOf(path: string): string | null {
  const matching = Object.keys(rooms).filter((room) => path.startsWith(`${room}/`));
  return matching.toSorted((a, b) => b.length - a.length)[0] ?? null;
}

function topOf(path: string): string {
  return path.split("/")[0]!;
}

function importsOf(text: string): string[] {
  const pattern = /^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...withoutComments(text).matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"])\/\/.*$/gm, "$1");
}
