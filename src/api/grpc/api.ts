import type { Server, ServerUnaryCall } from "@grpc/grpc-js";
import { principalOf } from "../auth.ts";
import type { GrpcApiDeps, GrpcApiOptions } from "./deps.ts";
import { HealthService } from "./health.ts";
import { clientServices, registerReflection } from "./reflection.ts";
import { Requests } from "./requests.ts";
import { ClientStream, type StreamCall, streamDefinition } from "./stream.ts";
import { UnaryCalls } from "./unary.ts";

/** The client port's services on one server. */
export interface GrpcApi {
  register(server: Server): void;
  /** What the health service says; false until told otherwise. */
  setServing(serving: boolean): void;
  /** Ends every stream; what they asked for is abandoned. */
  close(): void;
}

/**
 * The doors of the client port: the stream, the unary forms of the same requests, watches, health and reflection. They decode,
 * check, hand on to the replica and encode. Refusals travel as data in the stream, and as status and trailer
 * (`ringraft-refusal-bin`) elsewhere.
 */
export function createGrpcApi(options: GrpcApiOptions, deps: GrpcApiDeps): GrpcApi {
  const requests = new Requests(options, deps);
  const unary = new UnaryCalls(options, deps, requests, callerOf);
  const health = new HealthService(clientServices.map((service) => service.typeName));
  const streams = new Map<ClientStream, StreamCall>();

  return {
    register(server) {
      server.addService(streamDefinition, {
        connect(call: StreamCall) {
          const stream = new ClientStream(call, callerOf(call), options, deps, requests);
          streams.set(stream, call);
          call.once("close", () => streams.delete(stream));
          stream.run();
        },
      });
      unary.register(server);
      health.register(server);
      registerReflection(server);
    },
    setServing: (serving) => health.setServing(serving),
    close() {
      health.setServing(false);
      for (const [stream, call] of streams) {
        stream.close();
        call.end();
      }
      streams.clear();
    },
  };
}

function callerOf(call: Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">): string {
  return principalOf(call.getAuthContext().sslPeerCertificate);
}
