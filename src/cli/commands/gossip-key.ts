import { readFileSync } from "node:fs";
import type { NodeConfig } from "#config";
import { ExitError } from "#kernel";
import { type Command, parse, UsageError } from "../command.ts";
import { secondsOf } from "../connection.ts";
import { clusterConfig, type Door, doorsHelp, doorsOf, doorsOptions } from "../doors.ts";
import {
  holdersOf,
  inTheWay,
  isByOwnWord,
  type KeyHolder,
  type KeyView,
  leftTo,
  usesOf,
  whyNot,
} from "../gossip-keys/holders.ts";
import { type Asked, askViews, lookUntil, orderAll, valuesOf } from "../gossip-keys/rounds.ts";
import { outputFormat, outputHelp, outputOptions, printJson, printRows } from "../output.ts";

const order = "The order of a rotation: install, use, remove; each may be repeated. docs/membership.md tells it in full.";
const changeHelp = `${doorsHelp}
      --admin-key-file FILE the admin key, which nodes on other machines ask for (default: $RINGRIFT_ADMIN_KEY, else admin.key_file)
      --timeout SECONDS     how long word of it may take to reach those who cannot be asked from here (default 15)
${outputHelp}
Exit code 0 when it holds at everybody who is there, 4 when it does not: the table and the last lines say at whom. 5 when nobody
answers. A key is named by the first digits of its fingerprint; keys are never shown.`;

export const gossipKeyList: Command = {
  name: "gossip-key list",
  summary: "Which gossip keys are installed where, and which one each node seals with",
  usage: "[--config FILE | --http URL|HOST:PORT...] [-o table|json]",
  details: `Each member tells the others by name which keys it has, so one node that answers knows of everybody.

Options:
${doorsHelp}
${outputHelp}
Exit code 5 when nobody answers.`,
  run: async (args) => {
    const { values } = parse(args, { ...doorsOptions, ...outputOptions }, []);
    const asked = await askViews(doorsOf(values, clusterConfig(values.config)));
    requireSomebody(asked);
    print(outputFormat(values), holdersOf(valuesOf(asked)), asked);
    return 0;
  },
};

export const gossipKeyInstall: Command = {
  name: "gossip-key install",
  summary: "Give a new gossip key to every node that can be reached: from then on they open what it seals",
  usage: "[FILE] [--config FILE | --http URL|HOST:PORT...] [--under FILE] [-o table|json]",
  details: `FILE holds one key a line, 32 bytes in base64 or hex; without it, or with -, standard input is read:
  openssl rand -base64 32 > new.key && chmod 600 new.key && ringraft gossip-key install new.key --config FILE
The key travels sealed under one that the nodes hold already. Every node adds it to its own membership.key_file. A node that
cannot be reached from here gets it by the same command on its own machine. ${order}

Options:
      --under FILE          a key file whose first key the nodes hold (default: membership.key_file of --config)
${changeHelp}`,
  run: async (args) => {
    const { values, positionals } = parse(args, { ...changeOptions, under: { type: "string" } }, ["[FILE]"]);
    const config = clusterConfig(values.config);
    const { keys, seal, nameOf } = await newKeys(positionals[0] ?? "-", values.under ?? config?.membership.keyFile ?? null);
    let code = 0;
    for (const key of keys) code = Math.max(code, await change("install", nameOf(key), seal(key), { values, config }));
    return code;
  },
};

export const gossipKeyUse: Command = changeByName(
  "use",
  "Seal with this key from now on, once everybody who is there has it installed",
  "Refused, by this command and by each node, while anybody who is there has not got the key: it would be deaf.",
);

export const gossipKeyRemove: Command = changeByName(
  "remove",
  "Forget a gossip key: nobody opens what it seals any more",
  `Refused while anybody who is there seals with it. A node that was away meanwhile is not heard until \`gossip-key use\` and
\`remove\` have run on it, or it starts with the new key first in its key file.`,
);

const changeOptions = {
  ...doorsOptions,
  ...outputOptions,
  "admin-key-file": { type: "string" },
  timeout: { type: "string" },
} as const;

interface ChangeValues {
  readonly http?: string[] | undefined;
  readonly config?: string | undefined;
  readonly output?: string | undefined;
  readonly json?: boolean | undefined;
  readonly timeout?: string | undefined;
  readonly "admin-key-file"?: string | undefined;
}

function changeByName(action: "use" | "remove", summary: string, details: string): Command {
  return {
    name: `gossip-key ${action}`,
    summary,
    usage: "KEY [--config FILE | --http URL|HOST:PORT...] [-o table|json]",
    details: `${details}\nKEY is a name that \`gossip-key list\` shows. ${order}\n\nOptions:\n${changeHelp}`,
    run: async (args) => {
      const { values, positionals } = parse(args, changeOptions, ["KEY"]);
      const key = positionals[0]!;
      refuseSecret(key);
      if (!/^[0-9a-f]{8,16}$/.test(key)) throw new UsageError(`"${key}" is no name of a key such as 9f86d081`);
      const name = key.slice(0, NAME_DIGITS);
      return await change(action, name, { action, key: name }, { values, config: clusterConfig(values.config) });
    },
  };
}

const NAME_DIGITS = 8;
const DEFAULT_SECONDS = 15;

/** One step of a rotation at every node that answers; gives the exit code. */
async function change(
  action: "install" | "use" | "remove",
  key: string,
  body: object,
  { values, config }: { readonly values: ChangeValues; readonly config: NodeConfig | null },
): Promise<number> {
  const format = outputFormat(values);
  const doors = doorsOf(values, config);
  const adminKey = await adminKeyOf(values, config);
  const end = performance.now() + secondsOf(values.timeout, DEFAULT_SECONDS) * 1_000;
  const isOver = (): boolean => performance.now() >= end;
  const before = await lookUntil(doors, (views) => action === "install" || isTimeTo(action, key, views), isOver);
  requireSomebody(before);
  if (action !== "install") refuseIfEarly(action, key, before);

  const answering = before.filter(({ value }) => value !== null).map(({ door }) => door);
  const ordered = await orderAll(answering, body, adminKey);
  const after = await lookUntil(answering, (views) => isSettled(action, key, holdersOf(views)), isOver);
  const holders = holdersOf(valuesOf(after));
  const problems = [...before, ...ordered, ...after].filter(({ problem }) => problem !== null);
  print(format, holders, problems);
  const left = leftTo(action, key, holders);
  const refused = ordered.filter(({ value }) => value === null);
  if (left.length === 0 && refused.length === 0) {
    if (format === "table") process.stdout.write(`${done[action]} ${key}: everybody who is there\n`);
    return 0;
  }
  const why = refused.map(({ door, problem }) => `\n  ${nameOfDoor(door)}: ${problem}`).join("");
  const open = left.length > 0 ? left : refused.map(({ door }) => nameOfDoor(door));
  throw new ExitError(4, `${done[action]} ${key}: not yet ${open.join(", ")}${why}`, why === "" ? NOT_REACHED : REFUSED);
}

/** Every node would do it by its own view, or somebody's own word stands against it. */
function isTimeTo(action: "use" | "remove", key: string, views: readonly KeyView[]): boolean {
  if (views.every((view) => whyNot(action, key, holdersOf([view])) === null)) return true;
  const holders = holdersOf(views);
  return isByOwnWord(inTheWay(action, key, holders), holders);
}

function isSettled(action: Parameters<typeof leftTo>[0], key: string, holders: readonly KeyHolder[]): boolean {
  const left = leftTo(action, key, holders);
  return left.length === 0 || isByOwnWord(left, holders);
}

const done = { install: "installed", use: "used", remove: "removed" } as const;
const REFUSED = "Put right what was refused, and run the same command again: what is done is left alone.";
const NOT_REACHED = "Run the same command on their machines (it then asks 127.0.0.1:8770), or again here.";

function refuseIfEarly(action: "use" | "remove", key: string, before: readonly Asked<KeyView>[]): void {
  const holders = holdersOf(valuesOf(before));
  if (action === "use" && !holders.some(({ keys }) => keys.includes(key))) {
    throw new ExitError(3, `nobody has a key ${key}`, "`ringraft gossip-key list` shows those that are installed.");
  }
  const refused = whyNot(action, key, holders);
  if (refused !== null) throw new ExitError(4, `${refused}; nothing was changed`, NOT_REACHED);
}

function requireSomebody(asked: readonly Asked<unknown>[]): void {
  if (asked.some(({ value }) => value !== null)) return;
  throw new ExitError(5, asked.map(({ door, problem }) => `${nameOfDoor(door)}: ${problem}`).join("\n  "));
}

function print(format: "table" | "json", holders: readonly KeyHolder[], asked: readonly Asked<unknown>[]): void {
  const problems = new Map(
    asked.flatMap(({ door, problem }) => (problem === null ? [] : [[nameOfDoor(door), problem] as const])),
  );
  if (format === "json") {
    printJson({ members: holders, keys: usesOf(holders), problems: Object.fromEntries(problems) });
    return;
  }
  printRows(format, holders, {
    NODE: ({ nodeId }) => nodeId,
    STATE: ({ state }) => state,
    "SEALS WITH": ({ keys }) => keys[0] ?? "?",
    "OPENS TOO": ({ keys }) => keys.slice(1).join(" ") || "-",
    "TOLD BY": ({ nodeId, toldBy }) => (toldBy === nodeId ? "itself" : toldBy),
  });
  for (const { key, usedBy, installedAt, missingAt } of usesOf(holders)) {
    const missing = missingAt.length === 0 ? "" : `, missing at ${missingAt.join(", ")}`;
    process.stdout.write(`${key}: used by ${usedBy.length}, installed at ${installedAt.length} of ${holders.length}${missing}\n`);
  }
  for (const [door, problem] of problems) process.stdout.write(`${door}: ${problem}\n`);
}

function nameOfDoor({ nodeId, base }: Door): string {
  return nodeId ?? base;
}

/** The keys to install, and how each is sealed for its way. */
async function newKeys(file: string, underFile: string | null) {
  refuseSecret(file);
  if (underFile === null) throw new UsageError("--config or --under must name a key file that the nodes hold already");
  const { gossipKeyName, parseGossipKeys, readGossipKeys, readPrivateFile, sealGossipKey } = await import("#host");
  if (file === "-" && process.stdin.isTTY) throw new UsageError("a key is read from standard input, or name a FILE");
  const source = file === "-" ? "standard input" : file;
  const keys = parseGossipKeys(file === "-" ? readFileSync(0, "utf8") : readPrivateFile("FILE", file), source);
  const under = readGossipKeys(underFile)[0]!;
  return { keys, nameOf: gossipKeyName, seal: (key: Uint8Array) => ({ action: "install", sealed: sealGossipKey(key, under) }) };
}

/** Without a word of it: this message may end up in a log. */
function refuseSecret(argument: string): void {
  if (!/^[A-Za-z0-9+/]{43}=$|^[0-9A-Fa-f]{64}$/.test(argument)) return;
  throw new UsageError("that is a key itself, which others on this machine can now read: make another one and name its file");
}

async function adminKeyOf(values: ChangeValues, config: NodeConfig | null): Promise<string | null> {
  const given = values["admin-key-file"];
  const fromEnvironment = process.env["RINGRIFT_ADMIN_KEY"]?.trim() || null;
  if (given === undefined && fromEnvironment !== null) return fromEnvironment;
  const file = given ?? config?.adminKeyFile ?? null;
  if (file === null) return null;
  const { readPrivateFile } = await import("#host");
  return readPrivateFile(given === undefined ? "admin.key_file" : "--admin-key-file", file).trim();
}
