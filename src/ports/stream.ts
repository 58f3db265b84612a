import type { Endpoint } from "./datagram.ts";

/** Bytes in order both ways. A peer that does not read what was written to it loses the stream: nothing piles up without bound. */
export interface ByteStream {
  write(bytes: Uint8Array): void;
  /** What was written before is still sent. No event comes after it. */
  close(): void;
}

/** Never called from within a call of the stream or of its port. */
export interface StreamEvents {
  onBytes(bytes: Uint8Array): void;
  /** The last event. `failed`: it was never opened, or broke. */
  onClosed(failed: boolean): void;
}

/** One listening socket, and the way out. */
export interface StreamPort {
  /** Who takes inbound streams: null refuses one. Until somebody does, all are refused. */
  accept(handler: ((from: Endpoint, stream: ByteStream) => StreamEvents | null) | null): void;
  /** `to` is an IP address with a port, IPv6 in brackets. Closed as failed when it is not open within `timeoutMs`. */
  dial(to: string, timeoutMs: number, events: StreamEvents & { onOpen(): void }): ByteStream;
}
