import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";

export interface Ended {
  readonly command: string;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command to its end; one that has not ended after 20 s is killed, and its code is null. */
export async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [launcher, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), codeOf(child)]);
  return { command: `ringraft ${args.join(" ")}`, code, stdout, stderr };
}

/** One message with the documented exit code, a way out where `hint` asks for one, and no stack trace. */
export function assertRefused(ended: Ended, code: number, message: RegExp, hint: RegExp | null = null): void {
  const { command, stderr, stdout } = ended;
  const shown = `${command}\n${stderr}${stdout}`;
  assert.equal(ended.code, code, shown);
  const lines = stderr.trimEnd().split("\n");
  const messages = lines.filter((line) => line.startsWith("ringraft: "));
  assert.equal(messages.length, 1, `one message: ${shown}`);
  assert.match(messages[0]!, message, shown);
  if (hint !== null) assert.match(lines.slice(lines.indexOf(messages[0]!) + 1).join("\n"), hint, shown);
  assert.doesNotMatch(`${stderr}${stdout}`, /^\s+at .*:\d+:\d+/m, `no stack trace: ${shown}`);
}

/** Every file below `folder` with mode, size and content, in one comparable value; null when there is no such folder. */
export function treeOf(folder: string): readonly string[] | null {
  if (!existsSync(folder)) return null;
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => {
      const path = join(folder, name);
      const { mode, size } = statSync(path);
      const content = statSync(path).isDirectory() ? "" : createHash("sha256").update(readFileSync(path)).digest("hex");
      return `${name} ${mode.toString(8)} ${size} ${content}`;
    })
    .toSorted();
}

/** Holds a port of 127.0.0.1 while `use` runs. */
export async function whilePortIsTaken<T>(port: number, use: () => Promise<T>): Promise<T> {
  const blocker = createServer();
  await new Promise<void>((listening) => blocker.listen(port, "127.0.0.1", listening));
  try {
    return await use();
  } finally {
    await new Promise((closed) => blocker.close(closed));
  }
}

const launcher = resolve(import.meta.dirname, "..", "..", "bin", "ringraft.js");

function codeOf(child: ChildProcess): Promise<number | null> {
  return new Promise((done) => child.once("exit", done));
}
