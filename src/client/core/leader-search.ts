import { invariant, type Random } from "#kernel";
import { backoffMs } from "./retry.ts";

/** What to do next to find the leader. `ask` repeats the question on the connection that is there. */
export type SearchStep =
  | { readonly kind: "connect"; readonly endpoint: string; readonly delayMs: number }
  | { readonly kind: "ask"; readonly delayMs: number };

/**
 * Finds the leader from any endpoint: follows hints, goes round the endpoints when there are none, and slows down while
 * nothing works. The first step after a loss is immediate, because most losses are one node's death.
 *
 * A node that answers but knows no leader is asked again rather than left: an election is short, and a question on an open
 * connection costs less than a new connection. Every fourth time another node gets the chance, in case this one is cut off.
 */
export class LeaderSearch {
  #endpoints: readonly string[];
  readonly #configured: readonly string[];
  readonly #random: Random;
  #at: number;
  #failures = 0;
  #leaderless = 0;
  #hints = 0;

  constructor(endpoints: readonly string[], random: Random) {
    invariant(endpoints.length > 0, "a client needs at least one endpoint, got 0");
    this.#endpoints = endpoints;
    this.#configured = endpoints;
    this.#random = random;
    this.#at = Math.floor(random() * endpoints.length);
  }

  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  /** Where a client without a connection begins: the last leader known, at first any endpoint. */
  start(): SearchStep {
    return { kind: "connect", endpoint: this.#current(), delayMs: 0 };
  }

  /** `endpoint` says it leads. */
  found(endpoint: string): void {
    this.#stand(endpoint);
    this.#failures = 0;
    this.#leaderless = 0;
    this.#hints = 0;
  }

  /** The cluster named its members. The configured endpoints stay as well: an advertised address may not be reachable from here. */
  learn(addresses: readonly string[]): void {
    const here = this.#current();
    this.#endpoints = [...new Set([...addresses.filter((address) => address !== ""), ...this.#configured])];
    this.#stand(here);
  }

  /** `endpoint` could not be reached, or the connection to it broke. */
  failed(endpoint: string): SearchStep {
    this.#leaderless = 0;
    this.#stand(endpoint);
    const delayMs = this.#failures === 0 ? 0 : backoffMs(this.#failures - 1, UNREACHABLE_CAP_MS, this.#random);
    this.#failures++;
    return { kind: "connect", endpoint: this.#following(), delayMs };
  }

  /** The connected node says that `address` leads. Two nodes that point at each other must not make us spin. */
  hinted(address: string): SearchStep {
    this.#leaderless = 0;
    this.#stand(address);
    const delayMs = this.#hints < FREE_HINTS ? 0 : backoffMs(this.#hints - FREE_HINTS, LEADERLESS_CAP_MS, this.#random);
    this.#hints++;
    return { kind: "connect", endpoint: address, delayMs };
  }

  /** The connected node answers, and knows no leader. */
  leaderless(): SearchStep {
    const delayMs = backoffMs(this.#leaderless, LEADERLESS_CAP_MS, this.#random);
    this.#leaderless++;
    return this.#leaderless % ASKS_PER_NODE === 0 && this.#endpoints.length > 1
      ? { kind: "connect", endpoint: this.#following(), delayMs }
      : { kind: "ask", delayMs };
  }

  #current(): string {
    return this.#endpoints[this.#at]!;
  }

  #following(): string {
    this.#at = (this.#at + 1) % this.#endpoints.length;
    return this.#current();
  }

  #stand(endpoint: string): void {
    const at = this.#endpoints.indexOf(endpoint);
    if (at >= 0) {
      this.#at = at;
      return;
    }
    this.#endpoints = [...this.#endpoints, endpoint];
    this.#at = this.#endpoints.length - 1;
  }
}

const UNREACHABLE_CAP_MS = 1_000;
/** Elections take a second or two; a longer pause would add to every failover. */
const LEADERLESS_CAP_MS = 100;
const ASKS_PER_NODE = 4;
const FREE_HINTS = 2;
