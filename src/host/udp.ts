import { createSocket, type Socket } from "node:dgram";
import { isIPv4, isIPv6 } from "node:net";
import type { DatagramSocket } from "#ports";
import { splitPlace } from "#membership";

export interface UdpSocket extends DatagramSocket {
  readonly port: number;
  close(): void;
}

/** A burst of a whole cluster's gossip must fit while the thread is busy; the system may grant less. */
const RECEIVE_BUFFER_BYTES = 2 * 1_024 * 1_024;

/** Binds `address` (`ip:port`; `[::]` serves both families). Rejects with the system's error. */
export async function bindUdp(address: string): Promise<UdpSocket> {
  const { host, port } = splitPlace(address);
  const isV6 = isIPv6(host);
  // Every address here is an IP address: the usual look-up would put each datagram off by a turn of the loop.
  const socket = createSocket({ type: isV6 ? "udp6" : "udp4", lookup: (ip, _, found) => found(null, ip, isV6 ? 6 : 4) });
  await bound(socket, host, port);
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The system's own size has to do.
  }
  // After the bind an error is about one datagram (a route that is gone), and that is lost like any other.
  socket.on("error", () => {});
  let handler: Parameters<DatagramSocket["receive"]>[0] = null;
  socket.on("message", (bytes, { address: from, port: fromPort }) => handler?.({ host: from, port: fromPort }, bytes));
  return {
    port: socket.address().port,
    receive: (next) => {
      handler = next;
    },
    send: (to, bytes) => {
      const peer = splitPlace(to);
      if (!isV6 && isIPv6(peer.host)) return;
      const ip = isV6 && isIPv4(peer.host) ? `::ffff:${peer.host}` : peer.host;
      socket.send(bytes, peer.port, ip, ignore);
    },
    close: () => void socket.close(),
  };
}

function ignore(): void {}

function bound(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    // A second process must not share the port: each would get half of the datagrams.
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      resolve();
    });
  });
}
