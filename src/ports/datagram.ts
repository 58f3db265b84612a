/** An endpoint as the system names it: an IP address in its spelling (perhaps IPv4-mapped, perhaps with a zone), and a port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** One bound socket. Datagrams may be lost, doubled and reordered, and nobody is told. */
export interface DatagramSocket {
  /** Who takes what arrives; until somebody does it is thrown away. */
  receive(handler: ((from: Endpoint, bytes: Uint8Array) => void) | null): void;
  /** `to` is an IP address with a port, IPv6 in brackets. What cannot be sent is lost like any other datagram. */
  send(to: string, bytes: Uint8Array): void;
}
