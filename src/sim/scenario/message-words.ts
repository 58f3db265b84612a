import { assertNever, ClusterTimeMs, LogIndex, type NodeId, Term, WallTimeMs } from "#kernel";
import { type Entry, type Message, type ReadId, settledConfiguration } from "#raft";
import type { Words } from "./words.ts";

/**
 * How messages are written in scenario files: a kind, then words with their values. One notation serves for patterns
 * (`drop append to n3`), for messages that a script makes up (`receive n1 append from n2 term 2`), and for traces.
 */
export interface MessageWords {
  readonly kind: Message["kind"] | null;
  readonly from: NodeId | null;
  readonly to: NodeId | null;
  /** The other fields as they are written. */
  readonly fields: ReadonlyMap<string, string>;
}

const FIELDS = {
  preVote: ["last", "transfer"],
  requestVote: ["last", "transfer"],
  preVoteReply: ["granted", "refused"],
  voteReply: ["granted", "refused"],
  append: ["prev", "entries", "commit"],
  appendReply: ["match", "suspect"],
  appendRejected: ["rejected", "hint"],
  heartbeat: ["commit", "round"],
  heartbeatReply: ["round", "suspect", "lease"],
  snapshotChunk: ["snapshot", "offset", "done"],
  snapshotReply: ["snapshot", "next", "installed", "suspect"],
  timeoutNow: [],
  stateDigest: ["index", "digest"],
  readIndex: ["read", "suspect"],
  readIndexReply: ["read", "index"],
} as const satisfies Record<Message["kind"], readonly string[]>;

export const MESSAGE_KINDS = Object.keys(FIELDS) as readonly Message["kind"][];
const FLAGS = ["granted", "refused", "transfer", "suspect", "installed", "done"];
export const MESSAGE_FIELDS: readonly string[] = [...new Set(["from", "to", "term", "count", ...Object.values(FIELDS).flat()])];

export function parseMessageWords(words: Words): MessageWords {
  const kind = MESSAGE_KINDS.find((known) => known === words.peek) ?? null;
  if (kind !== null) words.next("a message");
  else if (words.peek === "message") words.next("a message");
  else if (words.peek !== null && !MESSAGE_FIELDS.includes(words.peek)) words.oneOf("message", [...MESSAGE_KINDS, "message"]);
  let from: NodeId | null = null;
  let to: NodeId | null = null;
  const fields = new Map<string, string>();
  while (words.peek !== null) {
    const allowed = ["from", "to", "term", "count", ...(kind === null ? MESSAGE_FIELDS : FIELDS[kind])];
    const field = words.oneOf(kind === null ? "field of messages" : `field of ${kind}`, allowed);
    if (field === "from") from = words.node();
    else if (field === "to") to = words.node();
    else if (FLAGS.includes(field)) fields.set(field, "yes");
    else fields.set(field, fieldValue(words, field));
  }
  return { kind, from, to, fields };
}

export function matchesWords(pattern: MessageWords, message: Message): boolean {
  if (pattern.kind !== null && pattern.kind !== message.kind) return false;
  if (pattern.from !== null && pattern.from !== message.from) return false;
  if (pattern.to !== null && pattern.to !== message.to) return false;
  const described = describe(message);
  if (message.kind === "append") described.set("count", String(message.entries.length));
  for (const [field, value] of pattern.fields) if (described.get(field) !== value) return false;
  return true;
}

/** As a pattern would be written that matches this message alone. */
export function messageText(message: Message): string {
  const fields = [...describe(message)].map(([field, value]) => (FLAGS.includes(field) ? field : `${field} ${value}`));
  return `${message.from} -> ${message.to} ${message.kind} ${fields.join(" ")}`;
}

export function patternText({ kind, from, to, fields }: MessageWords): string {
  const words = [kind ?? "message", ...(from === null ? [] : ["from", from]), ...(to === null ? [] : ["to", to])];
  for (const [field, value] of fields) words.push(...(FLAGS.includes(field) ? [field] : [field, value]));
  return words.join(" ");
}

/** The message that the words mean; what they leave out is zero, and the term is the receiver's own. */
export function buildMessage(kind: Message["kind"], from: NodeId, to: NodeId, ownTerm: Term, words: MessageWords): Message {
  const { fields } = words;
  const number = (field: string, otherwise = 0): number => Number(fields.get(field) ?? otherwise);
  const index = (field: string): LogIndex => LogIndex(number(field));
  const position = (field: string): { index: LogIndex; term: Term } => {
    const [at = "0", term = "0"] = (fields.get(field) ?? "0:0").split(":");
    return { index: LogIndex(Number(at)), term: Term(Number(term)) };
  };
  const envelope = { from, to, term: Term(number("term", ownTerm)) };
  const suspect = fields.has("suspect");
  switch (kind) {
    case "preVote":
    case "requestVote": {
      const last = position("last");
      return { kind, ...envelope, lastIndex: last.index, lastTerm: last.term, transfer: fields.has("transfer") };
    }
    case "preVoteReply":
    case "voteReply":
      return { kind, ...envelope, granted: !fields.has("refused") };
    case "append": {
      const prev = position("prev");
      const entries = termsOf(fields.get("entries") ?? "none").map((term, i) => givenEntry(prev.index + 1 + i, term));
      return { kind, ...envelope, prevIndex: prev.index, prevTerm: prev.term, entries, commitIndex: index("commit") };
    }
    case "appendReply":
      return { kind, ...envelope, matchIndex: index("match"), suspect };
    case "appendRejected": {
      const hint = position("hint");
      return { kind, ...envelope, rejectedIndex: index("rejected"), hintIndex: hint.index, hintTerm: hint.term };
    }
    case "heartbeat":
      return { kind, ...envelope, commitIndex: index("commit"), readRound: number("round") };
    case "heartbeatReply":
      return { kind, ...envelope, readRound: number("round"), suspect, leaseMs: number("lease") };
    case "snapshotChunk": {
      const at = position("snapshot");
      const times = { clusterTimeMs: ClusterTimeMs(0), wallTimeMs: WallTimeMs(0) };
      const meta = { ...at, ...times, configuration: settledConfiguration([from, to]) };
      return {
        kind,
        ...envelope,
        meta,
        offset: number("offset"),
        data: new Uint8Array(0),
        done: fields.has("done"),
        totalBytes: 0,
      };
    }
    case "snapshotReply":
      return {
        kind,
        ...envelope,
        index: index("snapshot"),
        nextOffset: number("next"),
        installed: fields.has("installed"),
        suspect,
      };
    case "timeoutNow":
      return { kind, ...envelope };
    case "stateDigest":
      return { kind, ...envelope, index: index("index"), digest: fields.get("digest") ?? "", digestVersion: 0 };
    case "readIndex":
      return { kind, ...envelope, readId: number("read") as ReadId, suspect };
    case "readIndexReply": {
      const at = fields.get("index") ?? "none";
      return { kind, ...envelope, readId: number("read") as ReadId, index: at === "none" ? null : LogIndex(Number(at)) };
    }
    default:
      return assertNever(kind, "message");
  }
}

/** An entry of which a script gives the term alone; index and term determine all of it, as Raft promises. */
export function givenEntry(index: number, term: number): Entry {
  const times = { clusterTimeMs: ClusterTimeMs(0), wallTimeMs: WallTimeMs(0) };
  return { index: LogIndex(index), term: Term(term), kind: "command", ...times, data: new Uint8Array(0) };
}

function describe(message: Message): Map<string, string> {
  const fields = new Map<string, string>([["term", String(message.term)]]);
  const set = (field: string, value: string | number): void => void fields.set(field, String(value));
  const flag = (field: string, holds: boolean): void => void (holds && fields.set(field, "yes"));
  switch (message.kind) {
    case "preVote":
    case "requestVote":
      set("last", `${message.lastIndex}:${message.lastTerm}`);
      flag("transfer", message.transfer);
      break;
    case "preVoteReply":
    case "voteReply":
      flag(message.granted ? "granted" : "refused", true);
      break;
    case "append":
      set("prev", `${message.prevIndex}:${message.prevTerm}`);
      set("entries", message.entries.map((entry) => entry.term).join(",") || "none");
      set("commit", message.commitIndex);
      break;
    case "appendReply":
      set("match", message.matchIndex);
      flag("suspect", message.suspect);
      break;
    case "appendRejected":
      set("rejected", message.rejectedIndex);
      set("hint", `${message.hintIndex}:${message.hintTerm}`);
      break;
    case "heartbeat":
      set("commit", message.commitIndex);
      if (message.readRound > 0) set("round", message.readRound);
      break;
    case "heartbeatReply":
      if (message.readRound > 0) set("round", message.readRound);
      flag("suspect", message.suspect);
      if (message.leaseMs > 0) set("lease", message.leaseMs);
      break;
    case "snapshotChunk":
      set("snapshot", `${message.meta.index}:${message.meta.term}`);
      set("offset", message.offset);
      flag("done", message.done);
      break;
    case "snapshotReply":
      set("snapshot", message.index);
      set("next", message.nextOffset);
      flag("installed", message.installed);
      flag("suspect", message.suspect);
      break;
    case "timeoutNow":
      break;
    case "stateDigest":
      set("index", message.index);
      set("digest", message.digest);
      break;
    case "readIndex":
      flag("suspect", message.suspect); // its number is the core's own affair
      break;
    case "readIndexReply":
      set("index", message.index ?? "none");
      break;
    default:
      assertNever(message, "message");
  }
  return fields;
}

function fieldValue(words: Words, field: string): string {
  if (field === "entries") return words.terms("entries").join(",") || "none";
  const pattern = ["last", "prev", "hint"].includes(field) ? /^\d+:\d+$/ : field === "snapshot" ? /^\d+(:\d+)?$/ : /^(\d+|none)$/;
  if (field !== "digest" && !pattern.test(words.peek ?? "")) {
    words.unexpected(pattern.source.includes(":") ? `${field} (index:term, such as 3:1)` : `${field} (a number)`);
  }
  return words.next(field);
}

function termsOf(text: string): readonly number[] {
  return text === "none" ? [] : text.split(",").map(Number);
}
