import type { Brand, NodeId, Incarnation } from "#kernel";
import type { Address, Digest, MemberRecord, ProfileHash } from "./types.ts";

/** Names one probe of one prober (u32, wraps). A late answer names an old probe and is ignored: nothing is ever cancelled. */
export type ProbeNumber = Brand<number, "ProbeNumber">;
export const ProbeNumber = (n: number): ProbeNumber => (n >>> 0) as ProbeNumber;

/**
 * What one sealed datagram, or one sealed frame of a stream, holds. The sender's incarnation, digest and profile ride on
 * everything, so that whoever is heard is also compared.
 */
export interface Packet {
  readonly sender: NodeId;
  readonly incarnation: Incarnation;
  readonly digest: Digest;
  readonly profile: ProfileHash;
  readonly messages: readonly Message[];
}

/**
 * ```
 * direct      A ── ping ──────────────────────────────▶ B      A ◀── ack ── B        (to the observed source)
 * indirect    A ── ping-request ──▶ R ── ping ──▶ B            A ◀── indirect-ack ── R ◀── ack ── B
 *                                                              A ◀── nack ── R        (at 80 % of the timeout)
 * stream      A ══ ping ══▶ B ══ ack ══▶ A                     on a stream opened for it, beside the indirect probe
 * relay       A ── relayed(ping) ──▶ R ══▶ X                   A ◀── relayed(ack) ── R ◀══ X, on X's own stream to R
 * full sync   A ══ push-pull (request) ══▶ B ══ push-pull (reply) ══▶ A
 * ```
 */
export type Message =
  /** `target` is checked: an address that changed hands must not answer for its former owner. */
  | { readonly kind: "ping"; readonly probe: ProbeNumber; readonly target: NodeId }
  /** `observed` is the source address of the ping as it arrived; null on a stream or through a relay. */
  | { readonly kind: "ack"; readonly probe: ProbeNumber; readonly observed: Address | null }
  /** `probe` is the origin's; `timeoutMs` is how long the origin waits, of which the helper takes 80 %. */
  | {
      readonly kind: "ping-request";
      readonly probe: ProbeNumber;
      readonly target: NodeId;
      readonly addresses: readonly Address[];
      readonly timeoutMs: number;
    }
  | { readonly kind: "indirect-ack"; readonly probe: ProbeNumber; readonly target: NodeId }
  /** The helper lives and tried; the target did not answer it either (yet). */
  | { readonly kind: "nack"; readonly probe: ProbeNumber; readonly target: NodeId }
  /** Gossip: a statement about one member. */
  | { readonly kind: "member"; readonly record: MemberRecord }
  /**
   * Streams only. `joining`: the sender has just started and should be believed about itself only. `more`: a frame is too
   * short for all records, and another one of the same exchange follows; the last one is answered.
   */
  | {
      readonly kind: "push-pull";
      readonly reply: boolean;
      readonly joining: boolean;
      readonly more: boolean;
      readonly records: readonly MemberRecord[];
    }
  /** First frame on a stream that stays open: the sender asks the receiver to be its relay. */
  | { readonly kind: "relay-request" }
  | { readonly kind: "relay-answer"; readonly granted: boolean }
  /** Carried by a relay between two members. Never nested: `messages` holds none of the stream-only kinds. */
  | { readonly kind: "relayed"; readonly origin: NodeId; readonly target: NodeId; readonly packet: RelayedPacket };

/** The origin's packet as the relay passes it on. The relay is a member, thus trusted to name the origin. */
export interface RelayedPacket {
  readonly incarnation: Incarnation;
  readonly digest: Digest;
  readonly profile: ProfileHash;
  readonly messages: readonly RelayableMessage[];
}

export type RelayableMessage = Extract<
  Message,
  { readonly kind: "ping" | "ack" | "ping-request" | "indirect-ack" | "nack" | "member" }
>;
