import { assertNever, incarnationText } from "#kernel";
import type { HttpPollEvent, MemberRecord, SwimEvent } from "#membership/core";
import type { LogFields } from "#ports";
import { hex } from "./nodes-body.ts";

export interface EventLine {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

/** Null for what no operator looks for. */
export function describeSwimEvent(event: SwimEvent): EventLine | null {
  switch (event.kind) {
    case "joined":
    case "refuted":
    case "recovered":
    case "left":
    case "removed":
      return { level: "info", message: `member ${event.kind}`, fields: about(event.member) };
    case "suspected":
    case "died":
      return {
        level: "warn",
        message: `member ${event.kind}`,
        fields: { ...about(event.member), accuser: event.member.accuser },
      };
    case "join-completed":
      return { level: "info", message: "membership joined", fields: { through: event.through } };
    case "address-changed": {
      const fields = { ...about(event.member), before: event.before.join(" "), now: event.member.addresses.join(" ") };
      return { level: "info", message: "member has another address", fields };
    }
    case "path-changed": {
      const { id, before, now } = event;
      return {
        level: now === "direct" ? "info" : "warn",
        message: "path to a member changed",
        fields: { member: id, before, now },
      };
    }
    case "conflict": {
      const { id, ours, theirs, survives } = event;
      const fields = { member: id, ours: ours.join(" "), theirs: theirs.join(" "), survives };
      return { level: "error", message: "two processes go by one name", fields };
    }
    case "profile-mismatch": {
      const { peer, ours, theirs } = event;
      return { level: "warn", message: "a member runs other membership settings", fields: { member: peer, ours, theirs } };
    }
    case "voters-mismatch": {
      const { peer, ours, theirs } = event;
      const message = "a member's configuration lists other voters than this node's";
      return { level: "warn", message, fields: { member: peer, ours: hex(ours), theirs: hex(theirs) } };
    }
    case "flapping": {
      const { id, is, flapsPerHour } = event;
      const message = is === "begun" ? "member dies and comes back again and again" : "member is calm again";
      return { level: is === "begun" ? "warn" : "info", message, fields: { member: id, flaps_per_hour: flapsPerHour } };
    }
    case "members-full": {
      const { refused, maxMembers } = event;
      return {
        level: "error",
        message: "a member is refused: the table is full",
        fields: { member: refused, max_members: maxMembers },
      };
    }
    case "partition-suspected":
      return {
        level: "warn",
        message: "members were lost nearly at once: the network may be cut",
        fields: { lost: event.lost.join(" ") },
      };
    case "partition-healed":
      return { level: "info", message: "the members that were lost at once are back", fields: {} };
    case "rejected":
      return { level: "warn", message: "membership packet rejected", fields: { reason: event.reason, from: event.from } };
    case "self-healed":
      return { level: "error", message: "membership met an impossible state and put it right", fields: { what: event.what } };
    case "observed-address":
      return { level: "info", message: "a peer sees this node at another address", fields: { address: event.address } };
    case "metadata-changed":
    case "persist-incarnation":
    case "health-changed":
      return null;
    default:
      return assertNever(event, "membership event");
  }
}

export function describeHttpEvent(event: HttpPollEvent): EventLine {
  const level = event.kind === "suspected" || event.kind === "died" || event.kind === "wrong-node" ? "warn" : "info";
  const { kind, id, ...rest } = event;
  return { level, message: `polled peer ${kind}`, fields: { member: id, ...rest } };
}

function about({ id, incarnation }: MemberRecord): LogFields {
  return { member: id, incarnation: incarnationText(incarnation) };
}
