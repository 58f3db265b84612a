import { accepted, assertNever, incarnationText, type NodeId, type Outcome, refusal, refused, type Incarnation } from "#kernel";
import type { Dormancy } from "./dormant.ts";
import { join, joinAnew } from "./join.ts";
import type { Keyring } from "./keyring.ts";
import { fallSilent, leave } from "./leave.ts";
import { learn } from "./learn.ts";
import type { OwnChanges } from "./member-table.ts";
import { isPresent } from "./precedence.ts";
import { claim } from "./self.ts";
import { whyNotRecord } from "./record-codec.ts";
import type { SwimState } from "./state.ts";
import { readmitted, removedAt } from "./statement.ts";
import type { Address, MemberRecord, SwimCommand } from "./types.ts";

/** What the process asks of its own member. A refusal has changed nothing. */
export function obey(state: SwimState, command: SwimCommand): Outcome<void> {
  const { dormancy, keyring } = state;
  if (state.isSilent && dormancy === null && command.kind !== "leave") {
    return refused(refusal("BAD_STATE", `${command.kind}: this node has left the cluster (${state.lifecycle})`));
  }
  // Asleep too: who asks others for its name has to understand them.
  if ("key" in command) return turnKey(keyring, command);
  return dormancy === null ? obeyAwake(state, command) : obeyAsleep(state, dormancy, command);
}

type KeyCommand = Extract<SwimCommand, { readonly key: Uint8Array }>;
type OtherCommand = Exclude<SwimCommand, KeyCommand>;

function turnKey(keyring: Keyring, { kind, key }: KeyCommand): Outcome<void> {
  switch (kind) {
    case "install-key":
      return keyring.install(key);
    case "use-key":
      return keyring.use(key);
    case "remove-key":
      return keyring.remove(key);
    default:
      return assertNever(kind, "key command");
  }
}

function obeyAwake(state: SwimState, command: OtherCommand): Outcome<void> {
  // A newer word about itself would take the goodbye back, and then it would be declared dead.
  if (state.lifecycle === "leaving" && OWN_WORDS.has(command.kind)) return done;
  switch (command.kind) {
    case "join":
      join(state, command.seeds);
      return done;
    case "leave":
      if (command.as === "left") leave(state);
      else fallSilent(state, "left");
      return done;
    case "set-metadata":
      return claimIfNew(state, { metadata: command.metadata });
    case "set-addresses":
      return setAddresses(state, command.addresses);
    case "forget":
      return forget(state, command.member, command.barrier);
    case "readmit":
      return readmit(state, command.member);
    case "report-lag":
      state.changeHealth((awareness) => {
        awareness.afterLag(command.lagMs);
      });
      return done;
    case "recall":
      recall(state, command.members);
      return done;
    default:
      return assertNever(command, "command");
  }
}

const done = accepted(undefined);
const OWN_WORDS: ReadonlySet<SwimCommand["kind"]> = new Set(["join", "recall", "set-metadata", "set-addresses"]);

/** What a dormant node is told holds from its next life on. */
function obeyAsleep(state: SwimState, dormancy: Dormancy, command: OtherCommand): Outcome<void> {
  switch (command.kind) {
    case "leave":
      fallSilent(state, "left");
      return done;
    case "join":
      state.seeds = command.seeds;
      return done;
    case "set-metadata":
      return keep(state, dormancy, { metadata: command.metadata });
    case "set-addresses":
      return keep(state, dormancy, { addresses: command.addresses });
    case "report-lag":
      return done;
    case "forget":
    case "readmit":
    case "recall":
      return refused(refusal("BAD_STATE", `${command.kind}: this node is no member now (${state.lifecycle})`));
    default:
      return assertNever(command, "command");
  }
}

function keep(state: SwimState, dormancy: Dormancy, changes: OwnChanges): Outcome<void> {
  const wrong = whyNotOwn(state, changes);
  if (wrong !== null) return wrong;
  dormancy.changes = { ...dormancy.changes, ...changes };
  return done;
}

function whyNotOwn(state: SwimState, changes: OwnChanges): Outcome<void> | null {
  if (changes.addresses?.length === 0) {
    return refused(refusal("INVALID_ARGUMENT", "addresses: a member needs at least one", { field: "addresses" }));
  }
  const wrong = whyNotRecord({ ...state.members.self, ...changes }, state.wire.recordRoom);
  return wrong === null ? null : refused(refusal("INVALID_ARGUMENT", wrong));
}

function setAddresses(state: SwimState, addresses: readonly Address[]): Outcome<void> {
  const before = state.members.self;
  const outcome = claimIfNew(state, { addresses });
  if (state.members.self !== before) joinAnew(state);
  return outcome;
}

function claimIfNew(state: SwimState, changes: OwnChanges): Outcome<void> {
  const own = state.members.self;
  if (JSON.stringify({ ...own, ...changes }) === JSON.stringify(own)) return done;
  const wrong = whyNotOwn(state, changes);
  if (wrong !== null) return wrong;
  if (claim(state, changes)) return done;
  return refused(refusal("BAD_STATE", `nothing stands above this node's incarnation ${incarnationText(own.incarnation)}`));
}

function forget(state: SwimState, id: NodeId, barrier: Incarnation): Outcome<void> {
  const held = state.members.get(id);
  if (held === null) return unknown(id);
  if (isPresent(held) && id === state.id) {
    return refused(refusal("BAD_STATE", `${id} is this node: let it leave instead`, { field: "member" }));
  }
  learn(state, removedAt(barrier, held), { from: state.id, via: "gossip", spread: true });
  return state.members.get(id)!.state === "removed" ? done : below(held);
}

function readmit(state: SwimState, id: NodeId): Outcome<void> {
  const held = state.members.get(id);
  if (held === null) return unknown(id);
  if (held.state !== "removed") {
    return refused(refusal("BAD_STATE", `${id} is ${held.state}, not removed`, { field: "member" }));
  }
  learn(state, readmitted(held), { from: state.id, via: "gossip", spread: true });
  return state.members.get(id)!.state === "removed" ? below(held) : done;
}

/** Their addresses serve as seeds until the first full view; the removed among them stay removed. */
export function recall(state: SwimState, members: readonly MemberRecord[]): void {
  const others = members.filter((record) => record.id !== state.id);
  for (const removed of others.filter((record) => record.state === "removed")) {
    learn(state, removed, { from: state.id, via: "gossip", spread: false });
  }
  state.recalled = others.filter(isPresent).map(({ id, addresses }) => ({ id, addresses }));
  join(state, state.seeds);
}

/** What is held of the member overrules the command. */
function below({ id, state, incarnation }: MemberRecord): Outcome<void> {
  const held = `${id} is ${state} at incarnation ${incarnationText(incarnation)}`;
  return refused(refusal("CONFLICT", `${held}, and the command stands below that`, { field: "member" }));
}

function unknown(id: NodeId): Outcome<void> {
  return refused(refusal("NOT_FOUND", `member ${id} is not known here`, { field: "member" }));
}
