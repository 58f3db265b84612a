import { compareIncarnations, type Incarnation, MonotonicMs, type NodeId } from "#kernel";
import { type ProbeNumber, type RelayableMessage } from "./message.ts";
import { accuse, notePath } from "./learn.ts";
import { pingTo } from "./ping.ts";
import { sendByRelay, sendDatagram, sendTo, type Source } from "./send.ts";
import type { SwimState } from "./state.ts";
import { closeStream, openStream } from "./streams.ts";
import type { MemberRecord } from "./types.ts";

/** The probe of the running period. There is one at a time: the verdict on it is given as the next period begins. */
export interface RunningProbe {
  readonly number: ProbeNumber;
  readonly target: NodeId;
  /** Of the target, when the probe began. */
  readonly incarnation: Incarnation;
  readonly startedAt: MonotonicMs;
  readonly endsAt: MonotonicMs;
  /** Members asked to try in our stead; those that reported are taken out. */
  readonly helpers: Set<NodeId>;
  asked: number;
  answered: boolean;
}

/** The beginning of a period is the end of the one before: verdict first, then the next member in the round. */
export function beginPeriod(state: SwimState): void {
  if (state.probe !== null) judge(state, state.probe);
  const { options, awareness, now } = state;
  const endsAt = MonotonicMs(now + options.periodMs * awareness.multiplier);
  state.timers.set(endsAt, { kind: "period" });
  const target = nextTarget(state);
  if (target === null) state.changeHealth((healed) => healed.afterIdlePeriod());
  state.probe = target === null ? null : startProbe(state, target, endsAt);
}

function startProbe(state: SwimState, target: MemberRecord, endsAt: MonotonicMs): RunningProbe {
  const number = state.newProbeNumber();
  state.counters.probes += 1;
  sendTo(state, target, pingTo(state, target, number), true);
  const timeoutMs = state.path(target.id).timeoutMs(state.options) * state.awareness.multiplier;
  state.timers.set(MonotonicMs(state.now + timeoutMs), { kind: "probe-timeout", probe: number });
  const { id, incarnation } = target;
  return { number, target: id, incarnation, startedAt: state.now, endsAt, helpers: new Set(), asked: 0, answered: false };
}

/** The direct ping was not answered in time: ask others to try, try a stream, and every other way there is. */
export function probeTimedOut(state: SwimState, number: ProbeNumber): void {
  const { probe, options } = state;
  if (probe === null || probe.number !== number || probe.answered) return;
  const target = state.members.get(probe.target);
  if (target === null) return;
  const leftMs = probe.endsAt - state.now;
  if (leftMs < options.probeTimeoutFloorMs) {
    // This node has stood still: nobody can be asked in what is left, and missing reports would be its own fault. No verdict.
    state.probe = null;
    return;
  }
  const path = state.path(target.id);
  path.silent();
  const request: RelayableMessage = {
    kind: "ping-request",
    probe: number,
    target: target.id,
    addresses: target.addresses,
    timeoutMs: Math.floor(leftMs),
  };
  for (const helper of state.order.sample(options.indirectProbes, (id) => canHelp(state, id, target.id))) {
    probe.helpers.add(helper);
    sendTo(state, state.members.get(helper)!, [request]);
  }
  probe.asked = probe.helpers.size;
  const ping = pingTo(state, target, number);
  if (target.reach !== "direct") sendByRelay(state, target, ping, options.relays);
  const other = path.preferred(target.addresses);
  if (target.addresses.length > 1 && other !== null) sendDatagram(state, other, ping);
  if (options.streamProbe && other !== null) {
    openStream(state, other, leftMs, { kind: "probe", probe: number, target: target.id });
  }
}

export function handleAck(state: SwimState, from: NodeId, number: ProbeNumber, source: Source): void {
  const { probe } = state;
  if (probe === null || probe.number !== number || probe.target !== from) return;
  const path = state.path(from);
  const member = state.members.get(from);
  const before = member === null ? null : state.reachOf(member);
  if (source.kind === "datagram") {
    const address = member?.addresses.indexOf(source.from) ?? -1;
    path.answeredDirectly(state.now - probe.startedAt, address);
  } else {
    const own = source.kind === "stream" && state.streams.get(source.stream)?.use.kind === "probe";
    if (own) {
      state.counters.streamAcks += 1;
      closeStream(state, source.stream);
    }
    if (!probe.answered) path.answeredBy(own ? "stream" : "relay");
  }
  if (member !== null && before !== null) notePath(state, member, before);
  answered(state, probe);
}

export function handleIndirectAck(state: SwimState, helper: NodeId, number: ProbeNumber): void {
  const { probe } = state;
  if (probe === null || probe.number !== number) return;
  state.counters.indirectAcks += 1;
  probe.helpers.delete(helper);
  answered(state, probe);
}

/** The helper lives and heard us: what is silent is the target. */
export function handleNack(state: SwimState, helper: NodeId, number: ProbeNumber): void {
  const { probe } = state;
  if (probe === null || probe.number !== number || !probe.helpers.delete(helper)) return;
  state.counters.nacks += 1;
}

function answered(state: SwimState, probe: RunningProbe): void {
  if (probe.answered) return;
  probe.answered = true;
  state.changeHealth((awareness) => awareness.afterProbe({ kind: "answered" }));
}

function judge(state: SwimState, probe: RunningProbe): void {
  if (probe.answered || !state.order.has(probe.target)) return;
  // It has spoken since, of another address perhaps, or of relays: that nobody answered where it was is no word about this incarnation.
  if (compareIncarnations(state.members.get(probe.target)!.incarnation, probe.incarnation) > 0) return;
  state.counters.failedProbes += 1;
  const nacksReceived = probe.asked - probe.helpers.size;
  state.changeHealth((awareness) => awareness.afterProbe({ kind: "unanswered", nacksExpected: probe.asked, nacksReceived }));
  accuse(state, probe.target);
}

function nextTarget(state: SwimState): MemberRecord | null {
  const id = state.order.next();
  return id === null ? null : state.members.get(id);
}

function canHelp(state: SwimState, id: NodeId, target: NodeId): boolean {
  const record = state.members.get(id);
  return id !== target && record?.state === "alive" && record.reach === "direct" && !state.flaps.isFlapping(state.now, id);
}
