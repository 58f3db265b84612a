import { assertNever, surfaces } from "#kernel";
import type { MembershipLook } from "#membership";
import { nodeAead } from "../aead.ts";
import { gossipKeyName, KEY_BYTES, MAX_KEYS, readGossipKeys, rewriteGossipKeys } from "../gossip-keys.ts";
import { openGossipKey } from "../sealed-key.ts";
import type { Answer } from "./answers.ts";
import type { EventLine } from "./event-lines.ts";
import { keyNames } from "./nodes-body.ts";
import { problem } from "./posts.ts";

/** What `POST /admin/gossip-keys` works on. */
export interface GossipKeyPorts {
  readonly nodeId: string;
  readonly keyFile: string;
  readonly keys: () => readonly Uint8Array[];
  readonly apply: (keys: readonly Uint8Array[]) => void;
  readonly look: () => MembershipLook | null;
  readonly log: (line: EventLine) => void;
}

/**
 * Rotation of the gossip keys on a running node. The key file is the truth that a restart reads, so it is rewritten before the
 * change takes effect. Keys come in sealed and never go out: answers, logs and refusals know fingerprints only.
 */
export class GossipKeyChanges {
  readonly #ports: GossipKeyPorts;
  /** One change after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(ports: GossipKeyPorts) {
    this.#ports = ports;
  }

  answer(body: string): Promise<Answer> {
    const answered = this.#turn.then(() => this.#change(body));
    this.#turn = answered.catch(() => {});
    return answered;
  }

  async #change(body: string): Promise<Answer> {
    const order = orderIn(body, this.#ports.keys());
    if ("code" in order) return order;
    const known = this.#ports.keys();
    const wanted = wantedBy(order, known, this.#ports.look());
    if ("code" in wanted) return wanted;
    const unwritten = await this.#write(known, wanted.keys);
    if (unwritten !== null) return unwritten;
    const changed = !isSame(known, wanted.keys);
    if (changed) {
      this.#ports.apply(wanted.keys);
      const fields = { key: wanted.name, keys: wanted.keys.map(gossipKeyName).join(" ") };
      this.#ports.log({ level: "info", message: `gossip key: ${order.action}`, fields });
    }
    const answer = { node_id: this.#ports.nodeId, changed, keys: wanted.keys.map(gossipKeyName) };
    return { code: 200, type: "application/json", body: `${JSON.stringify(answer)}\n` };
  }

  /** A file that holds neither what runs nor what is wanted was edited for another purpose, and is not overwritten. */
  async #write(known: readonly Uint8Array[], wanted: readonly Uint8Array[]): Promise<Answer | null> {
    const { keyFile } = this.#ports;
    try {
      const inFile = readGossipKeys(keyFile);
      if (isSame(inFile, wanted)) return null;
      if (!isSame(inFile, known)) {
        const [runs, stands] = [known, inFile].map((keys) => keys.map(gossipKeyName).join(" "));
        return refuse("BAD_STATE", `${keyFile} holds ${stands}, but this node runs with ${runs}: put the file right first`);
      }
      await rewriteGossipKeys(keyFile, wanted);
      return null;
    } catch (error) {
      const { message, hint = null } = error as Error & { readonly hint?: string | null };
      return refuse("BAD_STATE", `the keys of this node stay as they are: ${message}${hint === null ? "" : `. ${hint}`}`);
    }
  }
}

/** All of it: two keys may share a name by chance. */
function fingerprint(key: Uint8Array): string {
  return nodeAead.importKey(key).fingerprint;
}

type Order =
  | { readonly action: "install"; readonly key: Uint8Array }
  | { readonly action: "use" | "remove"; readonly name: string };

function orderIn(body: string, keys: readonly Uint8Array[]): Order | Answer {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return refuse("INVALID_ARGUMENT", "the body is not JSON");
  }
  const { action, sealed, key: name, ...stray } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const [unknown] = Object.keys(stray);
  if (unknown !== undefined) return refuse("INVALID_ARGUMENT", `unknown field ${unknown}`);
  if (action === "install") {
    if (typeof sealed !== "string" || name !== undefined) return refuse("INVALID_ARGUMENT", "install takes sealed, and no key");
    const key = openGossipKey(sealed, keys);
    if (key === null) return refuse("PERMISSION_DENIED", "the new key is not sealed under a key that is installed here");
    return key.length === KEY_BYTES ? { action, key } : refuse("INVALID_ARGUMENT", `a gossip key has ${KEY_BYTES} bytes`);
  }
  if (action !== "use" && action !== "remove") return refuse("INVALID_ARGUMENT", "action must be install, use or remove");
  if (typeof name !== "string" || !/^[0-9a-f]{8,16}$/.test(name) || sealed !== undefined) {
    return refuse("INVALID_ARGUMENT", `${action} takes key: 8 to 16 hex digits of a fingerprint`);
  }
  return { action, name };
}

/** The keyring after the order, or why not. Each order may be repeated. */
function wantedBy(
  order: Order,
  known: readonly Uint8Array[],
  look: MembershipLook | null,
): { readonly keys: readonly Uint8Array[]; readonly name: string } | Answer {
  switch (order.action) {
    case "install": {
      const name = gossipKeyName(order.key);
      if (known.some((key) => fingerprint(key) === fingerprint(order.key))) return { keys: known, name };
      if (known.length < MAX_KEYS) return { keys: [...known, order.key], name };
      return refuse("QUOTA_EXCEEDED", `the keyring holds ${MAX_KEYS} keys, its limit: remove one first`);
    }
    case "use": {
      const used = known.find((key) => fingerprint(key).startsWith(order.name));
      if (used === undefined) return refuse("NOT_FOUND", `key ${order.name} is not installed here: install it first`);
      const name = gossipKeyName(used);
      if (used === known[0]) return { keys: known, name };
      const without = othersOf(look).filter(({ keys }) => !keys.includes(name));
      if (without.length > 0)
        return refuseFor(without, `key ${name} is not installed at`, "they could not open a word of this node");
      return { keys: [used, ...known.filter((key) => key !== used)], name };
    }
    case "remove": {
      const removed = known.find((key) => fingerprint(key).startsWith(order.name));
      if (removed === undefined) return { keys: known, name: order.name };
      const name = gossipKeyName(removed);
      if (removed === known[0]) return refuse("BAD_STATE", `key ${name} is the one this node seals with: use another one first`);
      const users = othersOf(look).filter(({ keys }) => (keys[0] ?? name) === name);
      if (users.length > 0) return refuseFor(users, `key ${name} is still used by`, "this node could not open a word of them");
      return { keys: known.filter((key) => key !== removed), name };
    }
    default:
      return assertNever(order, "order");
  }
}

interface OtherKeys {
  readonly id: string;
  /** Empty: it does not tell. */
  readonly keys: readonly string[];
}

/** Who is there besides this node. Before the first view nobody is, and nobody would hear of the change either. */
function othersOf(look: MembershipLook | null): readonly OtherKeys[] {
  const view = look?.swim?.view;
  if (view === undefined) return [];
  return view.members
    .filter(({ record }) => record.id !== view.self.id && (record.state === "alive" || record.state === "suspect"))
    .map(({ record }) => ({ id: record.id, keys: keyNames(record.metadata.keys) }));
}

function refuseFor(members: readonly OtherKeys[], what: string, why: string): Answer {
  return refuse("BAD_STATE", `${what} ${members.map(({ id }) => id).join(", ")}: ${why}`);
}

function refuse(reason: keyof typeof surfaces, message: string): Answer {
  return problem(surfaces[reason].http, reason, message);
}

function isSame(one: readonly Uint8Array[], other: readonly Uint8Array[]): boolean {
  return one.length === other.length && one.every((key, at) => Buffer.compare(key, other[at]!) === 0);
}
