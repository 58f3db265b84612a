import { Server, ServerCredentials, type ServerOptions, logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import type { GrpcLimits } from "./limits.ts";

/** PEM contents, not paths: whoever assembles the node reads the files. */
export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Set: clients must show a certificate that this CA has signed. Null: only the server proves itself. */
  readonly clientCa: Buffer | null;
}

export interface GrpcServer {
  /** For registering services, before `listen`. */
  readonly server: Server;
  /** Resolves with the port (the chosen one for 0). Rejects with {@link ListenError}. */
  listen(host: string, port: number): Promise<number>;
  /** Stops taking calls, gives those under way `graceMs`, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

/** The listener did not come up. `code` as Node names it: EADDRINUSE, EACCES, EADDRNOTAVAIL, …, or ELISTEN. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A grpc-js server with every limit set: left alone, grpc-js bounds neither streams nor a session's memory. `tls` null = plaintext. */
export function createGrpcServer(options: { readonly tls: ServerTls | null; readonly limits: GrpcLimits }): GrpcServer {
  // Every failure reaches us as a value; grpc-js would print it a second time, past the node's own log.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(serverOptions(options.limits));
  const credentials = credentialsOf(options.tls);
  return {
    server,
    listen: (host, port) => bindServer(server, credentials, { what: "gRPC listener", host, port }),
    close: (graceMs = DEFAULT_GRACE_MS) => close(server, graceMs),
  };
}

const DEFAULT_GRACE_MS = 500;
const MAX_METADATA_BYTES = 16_384;

function serverOptions(limits: GrpcLimits): ServerOptions {
  return {
    "grpc.max_receive_message_length": limits.maxReceiveBytes,
    // An answer to one request may be as large as the objects it asks for; list pages bound themselves.
    "grpc.max_send_message_length": -1,
    "grpc.max_metadata_size": MAX_METADATA_BYTES,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc-node.max_session_memory": limits.maxSessionMemoryMb,
    "grpc.keepalive_time_ms": limits.keepaliveMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.enable_channelz": 0,
  };
}

function credentialsOf(tls: ServerTls | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const pair = { cert_chain: tls.cert, private_key: tls.key };
  return ServerCredentials.createSsl(tls.clientCa, [pair], tls.clientCa !== null);
}

/** Resolves with the port (the chosen one for 0). Rejects with {@link ListenError}, which begins with `what`. */
export function bindServer(server: Server, credentials: ServerCredentials, { what, host, port }: Listener): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  server.bindAsync(address, credentials, (error, bound) => {
    if (error === null) resolve(bound);
    else reject(listenError(error, `${what} ${address}`, port));
  });
  return promise;
}

export interface Listener {
  /** Stands before the address in messages: "gRPC listener". */
  readonly what: string;
  readonly host: string;
  readonly port: number;
}

function listenError(cause: Error, which: string, port: number): ListenError {
  // grpc-js gives the system's code in its text only.
  const code = /\bE[A-Z]{3,}\b/.exec(cause.message)?.[0] ?? "ELISTEN";
  const why = code === "EADDRINUSE" ? `port ${port} is already in use` : `cannot listen: ${cause.message}`;
  return new ListenError(code, `${which}: ${why}`, { cause });
}

function close(server: Server, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cut = setTimeout(() => server.forceShutdown(), graceMs);
  server.tryShutdown(() => {
    clearTimeout(cut);
    resolve();
  });
  return promise;
}
