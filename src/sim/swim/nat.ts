import { Address } from "#membership/core";
import type { Machine } from "./machine.ts";

/** An entry of a box's table: what comes to `outside` goes to the machine, until nothing has been sent for too long. */
export interface NatMapping {
  readonly machine: Machine;
  readonly outside: Address;
  /** Who may use it: the destination that it was made for, or anyone that was sent to. */
  readonly destination: Address | null;
  readonly sentTo: Map<Address, number>;
  lastSentMs: number;
}

/**
 * A NAT that lets nothing in that was not asked for. `endpointDependent`: a mapping of its own per destination (address and
 * port), so that the address one peer sees is of no use to another; otherwise one mapping, through which those may answer
 * that were sent to. Only what is sent keeps a mapping alive.
 */
export class NatBox {
  readonly #machine: Machine;
  readonly #mappingMs: number;
  readonly #endpointDependent: boolean;
  readonly #ip: string;
  readonly #ports: () => number;
  /** All boxes' mappings by the address outside. */
  readonly #outside: Map<Address, NatMapping>;
  readonly #byDestination = new Map<Address | null, NatMapping>();

  constructor(
    machine: Machine,
    options: { readonly mappingMs: number; readonly endpointDependent: boolean },
    world: { readonly ports: () => number; readonly outside: Map<Address, NatMapping> },
  ) {
    this.#machine = machine;
    this.#mappingMs = options.mappingMs;
    this.#endpointDependent = options.endpointDependent;
    this.#ip = `203.0.${(machine.index >> 8) & 255}.${machine.index & 255}`;
    this.#ports = world.ports;
    this.#outside = world.outside;
  }

  /** The source that `to` sees. */
  send(nowMs: number, to: Address): Address {
    const destination = this.#endpointDependent ? to : null;
    let mapping = this.#byDestination.get(destination);
    if (mapping !== undefined && nowMs - mapping.lastSentMs > this.#mappingMs) {
      this.#outside.delete(mapping.outside);
      mapping = undefined;
    }
    if (mapping === undefined) {
      mapping = { machine: this.#machine, outside: this.#free(), destination, sentTo: new Map(), lastSentMs: nowMs };
      this.#byDestination.set(destination, mapping);
      this.#outside.set(mapping.outside, mapping);
    }
    mapping.lastSentMs = nowMs;
    if (destination === null) mapping.sentTo.set(to, nowMs);
    return mapping.outside;
  }

  /** Whether a datagram of `from` comes in through the mapping. */
  admits(nowMs: number, mapping: NatMapping, from: Address): boolean {
    if (nowMs - mapping.lastSentMs > this.#mappingMs) return false;
    if (mapping.destination !== null) return mapping.destination === from;
    const sentMs = mapping.sentTo.get(from);
    return sentMs !== undefined && nowMs - sentMs <= this.#mappingMs;
  }

  /** The source of a stream that goes out. */
  streamSource(): Address {
    return this.#free();
  }

  #free(): Address {
    for (;;) {
      const outside = Address(`${this.#ip}:${this.#ports()}`);
      if (!this.#outside.has(outside)) return outside;
    }
  }
}
