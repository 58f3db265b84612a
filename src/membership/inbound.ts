import type { StreamId } from "#membership/core";

/** How many streams others may hold open here. A full exchange takes milliseconds; only relayed members stay. */
export interface InboundLimits {
  readonly total: number;
  /** From one IP address: a NAT gateway stands for a whole site, and a test cluster for itself. */
  readonly perHost: number;
}

export const INBOUND_LIMITS: InboundLimits = { total: 256, perHost: 64 };

/**
 * Gives inbound streams their places, so that nobody takes all file descriptors, and no single host all places. Whoever has not
 * shown the key yet is a stranger; where there is no place left, the oldest of them makes room. So those who connect and say
 * nothing keep out nobody who speaks.
 */
export class InboundStreams {
  readonly #limits: InboundLimits;
  readonly #hosts = new Map<StreamId, string>();
  readonly #perHost = new Map<string, number>();
  /** The oldest first. */
  readonly #strangers = new Set<StreamId>();
  #refused = 0;

  constructor(limits: InboundLimits) {
    this.#limits = limits;
  }

  /** Those that got no place, or lost it to another. */
  get refused(): number {
    return this.#refused;
  }

  /** False: there is no place. `evict` is given the stranger that has to go, and closes it. */
  enter(id: StreamId, host: string, evict: (stranger: StreamId) => void): boolean {
    const isCrowded = (this.#perHost.get(host) ?? 0) >= this.#limits.perHost;
    if (isCrowded || this.#hosts.size >= this.#limits.total) {
      this.#refused++;
      const stranger = this.#oldestStranger(isCrowded ? host : null);
      if (stranger === undefined) return false;
      this.leave(stranger);
      evict(stranger);
    }
    this.#hosts.set(id, host);
    this.#perHost.set(host, (this.#perHost.get(host) ?? 0) + 1);
    this.#strangers.add(id);
    return true;
  }

  /** It was answered, so it has shown the key. */
  known(id: StreamId): void {
    this.#strangers.delete(id);
  }

  leave(id: StreamId): void {
    const host = this.#hosts.get(id);
    if (host === undefined) return;
    this.#hosts.delete(id);
    this.#strangers.delete(id);
    const left = this.#perHost.get(host)! - 1;
    if (left === 0) this.#perHost.delete(host);
    else this.#perHost.set(host, left);
  }

  #oldestStranger(host: string | null): StreamId | undefined {
    for (const id of this.#strangers) if (host === null || this.#hosts.get(id) === host) return id;
    return undefined;
  }
}
