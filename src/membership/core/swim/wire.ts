import type { MonotonicMs } from "#kernel";
import {
  type Carrier,
  MAX_HEAD_BYTES,
  MAX_PING_BYTES,
  MAX_RELAY_BYTES,
  type Skipped,
  decodePacket,
  encodePacket,
} from "./codec.ts";
import { ENVELOPE_BYTES, type Opened, type SealingSetup } from "./envelope.ts";
import { type FrameReader, FrameSealing, type FrameWriter } from "./frame.ts";
import type { Packet } from "./message.ts";
import { DatagramSealing, type DatagramSealingOptions } from "./sealing.ts";
import type { Address, RejectReason, StreamId } from "./types.ts";

export type Received = { readonly ok: true; readonly packet: Packet } | { readonly ok: false; readonly reason: RejectReason };

/** {@link Wire.recordRoom} of datagrams of this length. */
export function recordRoomOf({ datagramBytes }: Pick<DatagramSealingOptions, "datagramBytes">): number {
  return datagramBytes - ENVELOPE_BYTES - MAX_RELAY_BYTES - MAX_HEAD_BYTES - MAX_PING_BYTES;
}

/** Packets in, sealed bytes out, and back: all that the protocol sees of encoding and ciphers. */
export class Wire {
  /** Longest encoded packet ({@link packetBytes}) that fits a datagram. */
  readonly room: number;
  /** The same for a packet that a relay passes on, which puts it into one of its own. */
  readonly relayedRoom: number;
  /** Longest record ({@link whyNotRecord}) of which a member can be told in the very ping that suspects it, by a relay too. */
  readonly recordRoom: number;
  /** Longest piece of gossip that any packet of ours could carry, by a relay too. */
  readonly gossipRoom: number;
  readonly #datagrams: DatagramSealing;
  readonly #frames: FrameSealing;
  readonly #writers = new Map<StreamId, FrameWriter>();
  readonly #readers = new Map<StreamId, FrameReader>();
  readonly #skipped: Skipped;

  constructor(setup: SealingSetup, options: DatagramSealingOptions, skipped: Skipped = { unknownMessages: 0 }) {
    this.#skipped = skipped;
    this.#datagrams = new DatagramSealing(setup, options);
    this.#frames = new FrameSealing(setup);
    this.room = this.#datagrams.maxBodyBytes;
    this.relayedRoom = this.room - MAX_RELAY_BYTES;
    this.recordRoom = recordRoomOf(options);
    this.gossipRoom = this.relayedRoom - MAX_HEAD_BYTES;
  }

  /** `packet` has at most {@link room} bytes. */
  datagram(packet: Packet): Uint8Array {
    return this.#datagrams.seal(encodePacket(packet));
  }

  /** The next frame of `stream`. Frames are opened in the order in which they were made, or not at all. */
  frame(stream: StreamId, packet: Packet): Uint8Array {
    let writer = this.#writers.get(stream);
    if (writer === undefined) this.#writers.set(stream, (writer = this.#frames.writer()));
    return writer.seal(encodePacket(packet));
  }

  openDatagram(now: MonotonicMs, from: Address, bytes: Uint8Array): Received {
    return this.#decoded(this.#datagrams.open(now, from, bytes), "datagram");
  }

  /** The packets that `bytes` completes. One that is rejected stands last, and the stream is then to be closed. */
  openFrames(stream: StreamId, bytes: Uint8Array): readonly Received[] {
    let reader = this.#readers.get(stream);
    if (reader === undefined) this.#readers.set(stream, (reader = this.#frames.reader()));
    const received: Received[] = [];
    for (const opened of reader.push(bytes)) {
      const packet = this.#decoded(opened, "stream");
      received.push(packet);
      if (!packet.ok) break;
    }
    return received;
  }

  forgetStream(stream: StreamId): void {
    this.#writers.delete(stream);
    this.#readers.get(stream)?.close();
    this.#readers.delete(stream);
  }

  #decoded(opened: Opened, carrier: Carrier): Received {
    if (!opened.ok) return opened;
    const packet = decodePacket(opened.body, carrier, this.#skipped);
    return packet === null ? { ok: false, reason: "malformed" } : { ok: true, packet };
  }
}
