import type { NodeId } from "#kernel";
import type { Cluster } from "./cluster.ts";
import type { Dice } from "./time/random.ts";

export interface SuccessionPorts {
  readonly dice: Dice;
  /** Whoever leads the highest term. */
  readonly leader: () => NodeId | null;
  /** Runs it, unless the faults are over by then. */
  readonly later: (delayMs: number, run: () => void) => void;
}

/**
 * One leader after the other falls soon after its election, and the one before it comes back with whatever its log has got:
 * the shape of the paper's figure 8, in which entries of several terms compete for one index.
 */
export class Succession {
  readonly #cluster: Cluster;
  readonly #ports: SuccessionPorts;
  #fallsLeft = 0;
  #patienceMs = 0;
  #fallen: NodeId | null = null;
  #cutOffFrom: readonly NodeId[] = [];

  constructor(cluster: Cluster, ports: SuccessionPorts) {
    this.#cluster = cluster;
    this.#ports = ports;
  }

  /** How many are to fall; null while the last succession is under way. */
  start(): number | null {
    if (this.#fallsLeft > 0) return null;
    this.#fallsLeft = this.#ports.dice.int(2, 8);
    this.#awaitLeader();
    return this.#fallsLeft;
  }

  #awaitLeader(): void {
    this.#patienceMs = this.#cluster.nowMs + PATIENCE_ELECTIONS * this.#cluster.electionMs;
    this.#look();
  }

  #look(): void {
    const { dice, later } = this.#ports;
    const { electionMs, nowMs } = this.#cluster;
    const leader = this.#ports.leader();
    if (nowMs > this.#patienceMs) this.#end();
    else if (leader === null || leader === this.#fallen) later(LOOK_EVERY_MS, () => this.#look());
    else later(dice.chance(0.5) ? 0 : dice.exponential(electionMs / 4), () => this.#overthrow(leader));
  }

  #overthrow(leader: NodeId): void {
    const { dice, later } = this.#ports;
    this.#comeBack();
    this.#fallen = leader;
    if (dice.chance(0.3)) this.#cluster.kill(leader, { power: false });
    else this.#cutOff(leader);
    this.#fallsLeft -= 1;
    if (this.#fallsLeft > 0) this.#awaitLeader();
    else later(dice.exponential(2 * this.#cluster.electionMs), () => this.#end());
  }

  /** From all, or from all but one: what it appends then gets to one follower, and is not committed. */
  #cutOff(leader: NodeId): void {
    const { dice } = this.#ports;
    const others = dice.shuffled(this.#cluster.nodes.filter((node) => node !== leader));
    this.#cutOffFrom = dice.chance(0.5) ? others : others.slice(1);
    this.#setCut(true);
  }

  #comeBack(): void {
    this.#setCut(false);
    this.#cutOffFrom = [];
  }

  #setCut(isCut: boolean): void {
    const { network } = this.#cluster;
    for (const other of this.#cutOffFrom) {
      for (const [from, to] of [
        [this.#fallen!, other],
        [other, this.#fallen!],
      ] as const) {
        if (isCut) network.cut(from, to);
        else network.link(from, to).isCut = false;
      }
    }
  }

  #end(): void {
    this.#comeBack();
    this.#fallen = null;
    this.#fallsLeft = 0;
  }
}

const LOOK_EVERY_MS = 1;
const PATIENCE_ELECTIONS = 10;
