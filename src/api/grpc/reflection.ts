import type { Server } from "@grpc/grpc-js";
import { StreamService } from "#gen/ringraft/v1/stream.js";
import { WatchService } from "#gen/ringraft/v1/watch.js";
import { fileDescriptor } from "./descriptors.ts";
import { captureServices, registerLazily } from "./lazy-service.ts";
import { unaryServices } from "./unary.ts";

/** Every service of the client port. */
export const clientServices = [...unaryServices, WatchService, StreamService] as const;

/** The standard reflection service, both versions, so that grpcurl works without proto files. */
export function registerReflection(server: Server): void {
  registerLazily(
    server,
    [
      { path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", type: "bidi" },
      { path: "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", type: "bidi" },
    ],
    async () => {
      const { ReflectionService } = await import("@grpc/reflection");
      const descriptor = fileDescriptor("ringraft/v1/ringraft.proto", "ringraft.v1", clientServices);
      // The library looks at nothing but the descriptors of a package definition.
      const reflection = new ReflectionService({ "ringraft.v1": { fileDescriptorProtos: [descriptor] } } as never);
      return captureServices((target) => reflection.addToServer(target));
    },
  );
}
