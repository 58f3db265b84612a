import { invariant, type Random } from "#kernel";
import { backoffMs } from "./retry.ts";

/** What to do next to find the leader. `ask` repeats the question on the connection that is there. */
export type SearchStep =
  | { readonly kind: "connect"; readonly endpoint: string; readonly delayMs: number }
  | { readonly kind: "ask"; readonly delayMs: number };

/**
 * Finds the leader from any endpoint, in rounds: each endpoint once, in order. A hint is followed out of turn, but each
 * address only once a round: nodes that name each other, or a leader that is gone, cannot keep the search from the others.
 * Whatever nodes answer, a round has a bounded number of steps, so every endpoint gets its turn. It slows down while nothing
 * works. The first step after a loss is immediate, because most losses are one node's death.
 *
 * A node that answers but knows no leader is asked again rather than left: an election is short, and a question on an open
 * connection costs less than a new connection. Every sixth time another node gets the chance, in case this one is cut off.
 */
export class LeaderSearch {
  #endpoints: readonly string[];
  readonly #configured: readonly string[];
  readonly #random: Random;
  /** Connected last. */
  #here: string;
  /** Endpoints whose turn comes in this round. */
  #round: string[];
  /** Addresses that were followed as a hint in this round. */
  readonly #followed = new Set<string>();
  /** Questions to the present node that were answered with "no leader". */
  #asks = 0;
  #failures = 0;
  #leaderless = 0;
  #hints = 0;

  constructor(endpoints: readonly string[], random: Random) {
    invariant(endpoints.length > 0, "a client needs at least one endpoint, got 0");
    this.#endpoints = endpoints;
    this.#configured = endpoints;
    this.#random = random;
    this.#here = endpoints[Math.floor(random() * endpoints.length)]!;
    this.#round = this.#newRound();
  }

  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  /** Where a client without a connection begins. */
  start(): SearchStep {
    return this.#goTo(this.#here, 0);
  }

  /** `endpoint` has answered what only a leader answers. That it calls itself the leader is not enough. */
  found(endpoint: string): void {
    this.#here = endpoint;
    this.#round = this.#newRound();
    this.#asks = 0;
    this.#failures = 0;
    this.#leaderless = 0;
    this.#hints = 0;
  }

  /**
   * The cluster named its members. The configured endpoints stay as well: an advertised address may not be reachable from
   * here. Who is new waits for the next round: a list that changes with every answer must not push anybody back.
   */
  learn(addresses: readonly string[]): void {
    this.#endpoints = [...new Set([...addresses.filter((address) => address !== ""), ...this.#configured])];
    this.#round = this.#round.filter((address) => this.#endpoints.includes(address));
  }

  /** `endpoint` could not be reached, or the connection to it broke. */
  failed(endpoint: string): SearchStep {
    this.#here = endpoint;
    const delayMs = this.#failures === 0 ? 0 : backoffMs(this.#failures - 1, UNREACHABLE_CAP_MS, this.#random);
    this.#failures++;
    return this.#goOn(delayMs);
  }

  /** The connected node says that `address` leads. Two nodes that point at each other must not make us spin. */
  hinted(address: string): SearchStep {
    const delayMs = this.#hints < FREE_HINTS ? 0 : backoffMs(this.#hints - FREE_HINTS, LEADERLESS_CAP_MS, this.#random);
    this.#hints++;
    if (this.#followed.has(address) || this.#followed.size >= HINTS_PER_ROUND) return this.#goOn(delayMs);
    this.#followed.add(address);
    return this.#goTo(address, delayMs);
  }

  /** The connected node answers, and knows no leader. */
  leaderless(): SearchStep {
    const delayMs = backoffMs(this.#leaderless, LEADERLESS_CAP_MS, this.#random, FIRST_LEADERLESS_MS);
    this.#leaderless++;
    this.#asks++;
    return this.#asks < ASKS_PER_NODE ? { kind: "ask", delayMs } : this.#goOn(delayMs);
  }

  /** To whose turn it is. */
  #goOn(delayMs: number): SearchStep {
    if (this.#round.length === 0) this.#round = this.#newRound();
    return this.#goTo(this.#round[0]!, delayMs);
  }

  #goTo(endpoint: string, delayMs: number): SearchStep {
    this.#asks = 0;
    this.#here = endpoint;
    this.#round = this.#round.filter((address) => address !== endpoint);
    return { kind: "connect", endpoint, delayMs };
  }

  /** All endpoints, from the one after the present node on; that one comes last. */
  #newRound(): string[] {
    this.#followed.clear();
    const next = this.#endpoints.indexOf(this.#here) + 1;
    return [...this.#endpoints.slice(next), ...this.#endpoints.slice(0, next)];
  }
}

const UNREACHABLE_CAP_MS = 1_000;
/** Elections take a second or two; a longer pause would add to every failover. */
const LEADERLESS_CAP_MS = 100;
/** A hand-over takes a few round trips: whoever asks soon does not add to it. */
const FIRST_LEADERLESS_MS = 5;
const ASKS_PER_NODE = 6;
const FREE_HINTS = 2;
/** Of different addresses; more than the members of a large cluster, so that only nonsense is cut short. */
const HINTS_PER_ROUND = 16;
