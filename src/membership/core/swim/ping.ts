import type { ProbeNumber, RelayableMessage } from "./message.ts";
import type { SwimState } from "./state.ts";
import type { MemberRecord } from "./types.ts";

/**
 * A suspect is told in the very ping that it is one (the buddy system), and before it: so the ack brings its refutation back to whoever
 * asks.
 */
export function pingTo(state: SwimState, target: MemberRecord, probe: ProbeNumber): RelayableMessage[] {
  const ping: RelayableMessage = { kind: "ping", probe, target: target.id };
  return target.state !== "alive" && state.options.buddy ? [{ kind: "member", record: target }, ping] : [ping];
}
