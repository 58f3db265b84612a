import { assertNever } from "#kernel";
import type { Log } from "#ports";
import type { Entry } from "#raft";
import type { Event, StateMachine } from "#statemachine";
import { decodeCommand } from "#codec";
import { electionGraceOf } from "./leader-entry.ts";

/** What a committed entry does to the state, whoever proposed it. */
export function applyEntry(machine: StateMachine, entry: Entry, log: Pick<Log, "error">): readonly Event[] {
  switch (entry.kind) {
    case "command":
      return applyCommand(machine, entry, log);
    case "leader":
      return machine.leaderChanged(entry, electionGraceOf(entry.data));
    case "configuration":
      return machine.skip(entry);
    default:
      return assertNever(entry.kind, "entry kind");
  }
}

function applyCommand(machine: StateMachine, entry: Entry, log: Pick<Log, "error">): readonly Event[] {
  const decoded = decodeCommand(entry.data);
  if (decoded.ok) return machine.apply(decoded.value.command, entry).events;
  // Every door decodes before it proposes, so this is a newer version's command. All voters of this version skip it alike.
  log.error("entry cannot be read and is skipped", { index: entry.index, why: decoded.refusal.message });
  return machine.skip(entry);
}
