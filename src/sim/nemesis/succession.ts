import type { NodeId } from "#kernel";
import type { Dice } from "../time/random.ts";
import type { Stage } from "./stage.ts";

/**
 * One leader after the other falls soon after its election, and the one before it comes back with whatever its log has got:
 * the shape of the paper's figure 8, in which entries of several terms compete for one index.
 */
export class Succession {
  readonly #stage: Stage;
  readonly #dice: Dice;
  #fallsLeft = 0;
  #patienceMs = 0;
  #fallen: NodeId | null = null;
  #cutOffFrom: readonly NodeId[] = [];

  constructor(stage: Stage, dice: Dice) {
    this.#stage = stage;
    this.#dice = dice;
  }

  /** Says how many are to fall; null while the last succession is under way. */
  start(): string | null {
    if (this.#fallsLeft > 0) return null;
    this.#fallsLeft = this.#dice.int(2, 8);
    this.#awaitLeader();
    return `${this.#fallsLeft} leaders`;
  }

  #awaitLeader(): void {
    this.#patienceMs = this.#stage.cluster.nowMs + PATIENCE_ELECTIONS * this.#stage.cluster.electionMs;
    this.#look();
  }

  #look(): void {
    const { later } = this.#stage;
    const { electionMs, nowMs } = this.#stage.cluster;
    const leader = this.#stage.leader();
    if (nowMs > this.#patienceMs) this.#end();
    else if (leader === null || leader === this.#fallen) later(LOOK_EVERY_MS, () => this.#look());
    else later(this.#dice.chance(0.5) ? 0 : this.#dice.exponential(electionMs / 4), () => this.#overthrow(leader));
  }

  #overthrow(leader: NodeId): void {
    this.#comeBack();
    this.#fallen = leader;
    if (this.#dice.chance(0.3)) this.#stage.cluster.kill(leader, { power: false });
    else this.#cutOff(leader);
    this.#fallsLeft -= 1;
    if (this.#fallsLeft > 0) this.#awaitLeader();
    else this.#stage.later(this.#dice.exponential(2 * this.#stage.cluster.electionMs), () => this.#end());
  }

  /** From all, or from all but one: what it appends then gets to one follower, and is not committed. */
  #cutOff(leader: NodeId): void {
    const others = this.#dice.shuffled(this.#stage.cluster.nodes.filter((node) => node !== leader));
    this.#cutOffFrom = this.#dice.chance(0.5) ? others : others.slice(1);
    this.#setCut(true);
  }

  #comeBack(): void {
    this.#setCut(false);
    this.#cutOffFrom = [];
  }

  #setCut(isCut: boolean): void {
    const { network } = this.#stage.cluster;
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
