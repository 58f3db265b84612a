import { connect, createServer, type Server, type Socket } from "node:net";
import type { ByteStream, StreamEvents, StreamPort } from "#ports";
import { splitPlace } from "#membership";

export interface TcpPort extends StreamPort {
  readonly port: number;
  close(): void;
}

/** Whoever does not read for so long is not worth the memory. */
const LEAST_UNSENT_BYTES = 4 * 1_024 * 1_024;
/** A full exchange is written at once. Most records take about 150 bytes. */
const UNSENT_BYTES_PER_MEMBER = 512;
/** For the last bytes of a stream that we close. */
const LINGER_MS = 5_000;
const KEEP_ALIVE_MS = 15_000;

/** Listens on `address` (`ip:port`), for a cluster of at most `maxMembers`. Rejects with the system's error. */
export async function listenTcp(address: string, maxMembers = 0): Promise<TcpPort> {
  const maxUnsentBytes = Math.max(LEAST_UNSENT_BYTES, maxMembers * UNSENT_BYTES_PER_MEMBER);
  const { host, port } = splitPlace(address);
  const sockets = new Set<Socket>();
  let handler: Parameters<StreamPort["accept"]>[0] = null;
  const server = createServer({ noDelay: true }, (socket) => {
    adopt(sockets, socket);
    const { remoteAddress, remotePort } = socket;
    const stream = new TcpStream(socket, maxUnsentBytes);
    const events =
      remoteAddress === undefined || remotePort === undefined
        ? null
        : (handler?.({ host: remoteAddress, port: remotePort }, stream) ?? null);
    if (events === null) socket.destroy();
    else stream.listen(events);
  });
  await listening(server, host, port);
  return {
    port: (server.address() as { readonly port: number }).port,
    accept: (next) => {
      handler = next;
    },
    dial: (to, timeoutMs, events) => {
      const socket = connect({ ...splitPlace(to), noDelay: true });
      adopt(sockets, socket);
      const stream = new TcpStream(socket, maxUnsentBytes);
      stream.listen(events);
      const patience = setTimeout(() => socket.destroy(new Error(`no connection to ${to} within ${timeoutMs} ms`)), timeoutMs);
      socket.once("connect", () => {
        clearTimeout(patience);
        if (!stream.isClosed) events.onOpen();
      });
      socket.once("close", () => clearTimeout(patience));
      return stream;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

class TcpStream implements ByteStream {
  readonly #socket: Socket;
  readonly #maxUnsentBytes: number;
  isClosed = false;

  constructor(socket: Socket, maxUnsentBytes: number) {
    this.#socket = socket;
    this.#maxUnsentBytes = maxUnsentBytes;
  }

  listen(events: StreamEvents): void {
    this.#socket.on("data", (bytes) => {
      if (!this.isClosed) events.onBytes(bytes);
    });
    this.#socket.once("close", (failed) => {
      if (this.isClosed) return;
      this.isClosed = true;
      events.onClosed(failed);
    });
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed || this.#socket.destroyed) return;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > this.#maxUnsentBytes) this.#socket.destroy(new Error("the peer does not read"));
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.end();
    const overdue = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(overdue));
  }
}

function adopt(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  // What is wrong is told by the close that follows.
  socket.on("error", () => {});
  socket.once("close", () => sockets.delete(socket));
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve();
    });
  });
}
