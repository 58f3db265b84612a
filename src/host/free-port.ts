import { createServer } from "node:net";
import { exitCodes } from "#kernel";
import { StartError } from "./start-error.ts";

export interface WantedPort {
  readonly host: string;
  readonly port: number;
  /** As in the configuration: `ports.<key>`. */
  readonly key: "peer" | "client";
}

/**
 * Throws {@link StartError} (exit 75) when another process listens there. A voter asks before it opens its log, because its
 * listeners come up last: without this, a start that is bound to fail would have joined, voted and written first.
 */
export async function requireFreePort({ host, port, key }: WantedPort): Promise<void> {
  const probe = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  probe.once("error", reject);
  probe.listen(port, host, resolve);
  try {
    await promise;
  } catch (error) {
    // Whatever else is wrong with the address, the listener itself says it better.
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return;
    throw new StartError(
      exitCodes.temporary,
      `port ${port} (${key}) on ${host} is in use by another process`,
      `Find it with \`ss -ltnp 'sport = :${port}'\` and stop it, or set another ports.${key}.`,
      { cause: error },
    );
  } finally {
    await new Promise((closed) => probe.close(closed));
  }
}
