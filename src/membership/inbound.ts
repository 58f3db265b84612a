/** How many streams others may hold open here. A full exchange takes milliseconds; only relayed members stay. */
export interface InboundLimits {
  readonly total: number;
  /** From one IP address: a NAT gateway stands for a whole site, and a test cluster for itself. */
  readonly perHost: number;
}

export const INBOUND_LIMITS: InboundLimits = { total: 256, perHost: 64 };

/** Counts inbound streams, so that nobody takes all file descriptors, and no single host all places. */
export class InboundStreams {
  readonly #limits: InboundLimits;
  readonly #perHost = new Map<string, number>();
  #total = 0;
  #refused = 0;

  constructor(limits: InboundLimits) {
    this.#limits = limits;
  }

  get refused(): number {
    return this.#refused;
  }

  enter(host: string): boolean {
    const here = this.#perHost.get(host) ?? 0;
    if (this.#total >= this.#limits.total || here >= this.#limits.perHost) {
      this.#refused++;
      return false;
    }
    this.#total++;
    this.#perHost.set(host, here + 1);
    return true;
  }

  leave(host: string): void {
    const here = this.#perHost.get(host) ?? 0;
    if (here === 0) return;
    this.#total--;
    if (here === 1) this.#perHost.delete(host);
    else this.#perHost.set(host, here - 1);
  }
}
