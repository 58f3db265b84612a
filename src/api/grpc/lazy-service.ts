import type { Server, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

/** What a library adds to a server. */
export interface Loaded {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface LazyMethod {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly type: "unary" | "serverStream" | "bidi";
}

/**
 * Registers methods whose library is loaded by their first call: the health and reflection libraries bring a parser of proto
 * files that an idle voter should not keep in memory. Until then messages pass as bytes.
 */
export function registerLazily(server: Server, methods: readonly LazyMethod[], load: () => Promise<readonly Loaded[]>): void {
  let loading: Promise<readonly Loaded[]> | null = null;
  for (const { path, type } of methods) {
    const handler = (call: RawCall, callback?: RawCallback): void => {
      loading ??= load();
      loading.then(
        (loaded) => serve(loaded, path, call, callback),
        (error: unknown) => call.emit("error", { code: INTERNAL, details: `the service cannot be loaded: ${String(error)}` }),
      );
    };
    server.register<Buffer, Buffer>(path, handler as never, same, same, type);
  }
}

/** Collects what a library would add to a server. */
export function captureServices(addToServer: (server: Pick<Server, "addService">) => void): readonly Loaded[] {
  const captured: Loaded[] = [];
  addToServer({ addService: (definition, implementation) => captured.push({ definition, implementation }) });
  return captured;
}

const INTERNAL = 13;
const same = (bytes: Buffer): Buffer => bytes;

interface RawCall {
  readonly request?: Buffer;
  on(event: string, listener: (value: Buffer) => void): unknown;
  emit(event: string, value: unknown): unknown;
  write(bytes: Buffer): boolean;
  end(): void;
}
type RawCallback = (error: unknown, bytes?: Buffer | null) => void;

function serve(loaded: readonly Loaded[], path: string, call: RawCall, callback: RawCallback | undefined): void {
  for (const { definition, implementation } of loaded) {
    for (const [name, method] of Object.entries(definition)) {
      if (method.path !== path) continue;
      const handler = implementation[name] ?? implementation[method.originalName ?? ""];
      const typedCall = {
        request: call.request === undefined ? undefined : method.requestDeserialize(call.request),
        on: (event: string, listener: (value: unknown) => void) =>
          call.on(event, (value) => listener(event === "data" ? method.requestDeserialize(value) : value)),
        write: (message: unknown) => call.write(method.responseSerialize(message)),
        emit: (event: string, value: unknown) => call.emit(event, value),
        end: () => call.end(),
      };
      const typedCallback = (error: unknown, message: unknown): void =>
        error === null || error === undefined ? callback?.(null, method.responseSerialize(message)) : callback?.(error);
      (handler as (call: unknown, callback: unknown) => void)(typedCall, typedCallback);
      return;
    }
  }
  call.emit("error", { code: INTERNAL, details: `the library has no ${path}` });
}
