import { MonotonicMs, type NodeId } from "#kernel";
import type { Message, ProbeNumber } from "./message.ts";
import { pingTo } from "./ping.ts";
import { answer, sendDatagram, sendTo, type Source } from "./send.ts";
import type { SwimState } from "./state.ts";

type PingRequest = Extract<Message, { readonly kind: "ping-request" }>;

/** One member's probe that this node makes for another. */
export interface Help {
  readonly origin: Source;
  /** The origin's number for its probe; ours is the key under which the help is kept. */
  readonly probe: ProbeNumber;
  readonly target: NodeId;
}

/** Pings the target in the origin's stead, also under addresses that only the origin knows. */
export function handlePingRequest(state: SwimState, request: PingRequest, sender: NodeId, origin: Source): void {
  if (state.helps.size >= state.options.maxMembers) return;
  if (request.target === sender) return passOnRequest(state, request, sender);
  const number = state.newProbeNumber();
  state.helps.set(number, { origin, probe: request.probe, target: request.target });
  const target = state.members.get(request.target);
  if (target !== null) sendTo(state, target, pingTo(state, target, number), true);
  const known = target?.addresses ?? [];
  const others = request.addresses.filter((address) => !known.includes(address));
  for (const address of others) {
    if (!state.allow.allowsAddress(address)) state.reject("not-allowed", address);
    else sendDatagram(state, address, [{ kind: "ping", probe: number, target: request.target }]);
  }
  const nackAfterMs = request.timeoutMs * state.options.nackShare;
  state.timers.set(MonotonicMs(state.now + nackAfterMs), { kind: "help-nack", probe: number });
  state.timers.set(MonotonicMs(state.now + request.timeoutMs), { kind: "help-over", probe: number });
}

/**
 * A member that asks to be pinged itself wants to know whether strangers reach it. We are none: its request has opened its
 * NAT for us. So somebody else pings it.
 */
function passOnRequest(state: SwimState, request: PingRequest, sender: NodeId): void {
  const [stranger] = state.order.sample(1, (id) => id !== sender && state.members.get(id)?.reach === "direct");
  if (stranger !== undefined) sendTo(state, state.members.get(stranger)!, [request]);
}

/** True when the ack was for a probe made for another. */
export function passOnAck(state: SwimState, from: NodeId, number: ProbeNumber): boolean {
  const help = state.helps.get(number);
  if (help === undefined || help.target !== from) return false;
  state.helps.delete(number);
  answer(state, help.origin, [{ kind: "indirect-ack", probe: help.probe, target: help.target }]);
  return true;
}

/** Early enough to be back before the origin's verdict: "I am here, but the target does not answer me either". */
export function reportSilence(state: SwimState, number: ProbeNumber): void {
  const help = state.helps.get(number);
  if (help !== undefined) answer(state, help.origin, [{ kind: "nack", probe: help.probe, target: help.target }]);
}
