import { MonotonicMs, type NodeId } from "#kernel";
import type { ProbeNumber } from "./message.ts";
import type { SwimState } from "./state.ts";
import { type Address, StreamId } from "./types.ts";

/** Far above what a cluster of thousands has open at one time. */
const STREAMS_MAX = 1_024;
/**
 * So long whoever connects may take to show the key, by a first whole frame; and so long again, up to the time of a member, while
 * each such time brings that many bytes. The first frame of a large cluster has nearly 1 MiB, and takes longer on a slow link.
 */
const STRANGER_MS = 2_000;
const STRANGER_BYTES = 65_536;

/** Why a full exchange is made; all of them are the same exchange. */
export type PushPullPurpose = "join" | "periodic" | "repair" | "heal" | "reconnect";

export type StreamUse =
  | { readonly kind: "probe"; readonly probe: ProbeNumber; readonly target: NodeId }
  | { readonly kind: "push-pull"; readonly purpose: PushPullPurpose; readonly peer: NodeId | null }
  /** Ours to a relay: it stays open. */
  | { readonly kind: "uplink"; readonly relay: NodeId }
  /** Ours, while this node is dormant. */
  | { readonly kind: "enquiry" }
  /** Nothing is known of it before its first frame. */
  | { readonly kind: "inbound" }
  /** A member's uplink to us: we are its relay. */
  | { readonly kind: "client"; readonly member: NodeId };

export interface Stream {
  readonly id: StreamId;
  readonly peer: Address;
  use: StreamUse;
  readonly openedAt: MonotonicMs;
  heardAt: MonotonicMs;
  bytesRead: number;
  /** When it must have served its purpose. */
  until: MonotonicMs;
  /** Of an inbound one: a genuine frame has come. */
  isProven: boolean;
  /** Until then: `bytesRead` when it was looked at last. */
  bytesSeen: number;
  /** Of an uplink: pings since anything was heard on it. */
  unanswered: number;
}

function newStream({ now }: SwimState, more: Pick<Stream, "id" | "peer" | "use" | "until">): Stream {
  return { ...more, openedAt: now, heardAt: now, bytesRead: 0, isProven: false, bytesSeen: 0, unanswered: 0 };
}

/** Asks the driver for a stream, which must be open within `connectMs` and have served its purpose within `timeoutMs`. */
export function openStream(
  state: SwimState,
  to: Address,
  timeoutMs: number,
  use: StreamUse,
  connectMs: number = timeoutMs,
): StreamId {
  const id = StreamId(state.nextStream);
  state.nextStream += 2;
  const until = MonotonicMs(state.now + timeoutMs);
  state.streams.set(id, newStream(state, { id, peer: to, use, until }));
  state.transmissions.push({ kind: "open-stream", stream: id, to, timeoutMs: Math.ceil(Math.min(connectMs, timeoutMs)) });
  state.timers.set(until, { kind: "stream-over", stream: id });
  return id;
}

/** Refused while too many are open: nobody has shown a key yet. */
export function acceptStream(state: SwimState, id: StreamId, peer: Address): void {
  if (state.streams.size >= STREAMS_MAX) {
    state.transmissions.push({ kind: "close-stream", stream: id });
    return;
  }
  const until = MonotonicMs(state.now + Math.min(STRANGER_MS, state.options.streamTimeoutMs));
  state.streams.set(id, newStream(state, { id, peer, use: { kind: "inbound" }, until }));
  state.timers.set(until, { kind: "stream-over", stream: id });
}

/** The first genuine frame of an inbound stream: it is a member's, and gets a member's time. */
export function proveStream(state: SwimState, stream: Stream): void {
  if (stream.use.kind !== "inbound" || stream.isProven) return;
  stream.isProven = true;
  stream.until = MonotonicMs(state.now + state.options.streamTimeoutMs);
  state.timers.set(stream.until, { kind: "stream-over", stream: stream.id });
}

/** Forgets the stream and has it closed. Whatever still arrives on it is for nobody. */
export function closeStream(state: SwimState, id: StreamId): void {
  const stream = state.streams.get(id);
  if (stream === undefined) return;
  forgetStream(state, stream);
  state.transmissions.push({ kind: "close-stream", stream: id });
}

/** It is gone already. */
export function forgetStream(state: SwimState, stream: Stream): void {
  state.streams.delete(stream.id);
  state.wire.forgetStream(stream.id);
  if (stream.use.kind === "uplink") state.uplinks.lost(state.now, stream.id);
  if (stream.use.kind === "client" && state.clients.get(stream.use.member) === stream.id) {
    state.clients.delete(stream.use.member);
  }
}

/** Streams that are kept open have no end of their own; all others are over now, whether they got anywhere or not. */
export function endStream(state: SwimState, id: StreamId): void {
  const stream = state.streams.get(id);
  if (stream === undefined || state.now < stream.until || mayGoOn(state, stream)) return;
  const { kind } = stream.use;
  if (kind === "client" || (kind === "uplink" && state.uplinks.isGranted(id))) return;
  closeStream(state, id);
}

/** A stranger whose first frame is coming in well. What it may hold meanwhile is bounded by all that strangers hold together. */
function mayGoOn(state: SwimState, stream: Stream): boolean {
  const last = stream.openedAt + state.options.streamTimeoutMs;
  if (stream.use.kind !== "inbound" || stream.isProven || state.now >= last) return false;
  if (stream.bytesRead - stream.bytesSeen < STRANGER_BYTES) return false;
  stream.bytesSeen = stream.bytesRead;
  stream.until = MonotonicMs(Math.min(state.now + STRANGER_MS, last));
  state.timers.set(stream.until, { kind: "stream-over", stream: stream.id });
  return true;
}
