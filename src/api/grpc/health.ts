import type { Server } from "@grpc/grpc-js";
import type { HealthImplementation, ServingStatusMap } from "grpc-health-check";
import { captureServices, registerLazily } from "./lazy-service.ts";

/** The standard health service (grpc.health.v1): one status for the server and for every service on it. */
export class HealthService {
  readonly #services: readonly string[];
  #serving = false;
  #implementation: HealthImplementation | null = null;

  constructor(services: readonly string[]) {
    this.#services = ["", ...services];
  }

  register(server: Server): void {
    registerLazily(
      server,
      [
        { path: "/grpc.health.v1.Health/Check", type: "unary" },
        { path: "/grpc.health.v1.Health/List", type: "unary" },
        { path: "/grpc.health.v1.Health/Watch", type: "serverStream" },
      ],
      async () => {
        const { HealthImplementation } = await import("grpc-health-check");
        const statuses: ServingStatusMap = {};
        for (const service of this.#services) statuses[service] = this.#status();
        const implementation = new HealthImplementation(statuses);
        this.#implementation = implementation;
        return captureServices((target) => implementation.addToServer(target as never));
      },
    );
  }

  setServing(serving: boolean): void {
    this.#serving = serving;
    for (const service of this.#services) this.#implementation?.setStatus(service, this.#status());
  }

  #status(): "SERVING" | "NOT_SERVING" {
    return this.#serving ? "SERVING" : "NOT_SERVING";
  }
}
