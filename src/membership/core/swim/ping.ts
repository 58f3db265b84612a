import type { ProbeNumber, RelayableMessage } from "./message.ts";
import type { SwimState } from "./state.ts";
import type { MemberRecord } from "./types.ts";

/** A suspect is told in the very ping that it is one (the buddy system). */
export function pingTo(state: SwimState, target: MemberRecord, probe: ProbeNumber): RelayableMessage[] {
  if (target.state !== "alive" && state.options.buddy) return accusingPing(target, probe);
  return [{ kind: "ping", probe, target: target.id }];
}

/** The accusation stands before the ping: so the ack brings the refutation back to whoever asks. */
export function accusingPing(target: MemberRecord, probe: ProbeNumber): RelayableMessage[] {
  return [
    { kind: "member", record: target },
    { kind: "ping", probe, target: target.id },
  ];
}

/** Whether these are an {@link accusingPing}. */
export function isAccusingPing([first, second]: readonly RelayableMessage[]): boolean {
  return first?.kind === "member" && first.record.state !== "alive" && second?.kind === "ping";
}
