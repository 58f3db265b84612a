import type { NodeId } from "#kernel";
import type { Message } from "#raft";
import { matchesWords, type MessageWords, patternText } from "./message-words.ts";

/** What is on its way between the nodes. Nothing moves by itself: the script says what arrives, what waits and what is lost. */
export class ScriptNetwork {
  #inFlight: Message[] = [];
  readonly #cuts = new Set<string>();
  #blocked: MessageWords[] = [];
  #heldBack: MessageWords[] = [];

  send(message: Message): void {
    this.#inFlight.push(message);
  }

  /** Takes the first `count` messages that match off the network. */
  take(count: number, pattern: MessageWords): readonly Message[] {
    return this.#take(count, (message) => matchesWords(pattern, message));
  }

  /** Takes everything that is on its way now and not held back; with `nodes`, only what is between them. */
  takeFree(nodes: readonly NodeId[] | null): readonly Message[] {
    const isBetween = ({ from, to }: Message): boolean => nodes === null || (nodes.includes(from) && nodes.includes(to));
    return this.#take(Infinity, (message) => isBetween(message) && !matchesAny(this.#heldBack, message));
  }

  clear(): void {
    this.#inFlight = [];
  }

  /** Whether a message that would arrive now is lost instead. */
  loses(message: Message): boolean {
    return this.#cuts.has(link(message.from, message.to)) || matchesAny(this.#blocked, message);
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(link(from, to));
  }

  block(pattern: MessageWords): void {
    this.#blocked.push(pattern);
  }

  unblock(): void {
    this.#blocked = [];
  }

  heal(): void {
    this.#cuts.clear();
    this.unblock();
  }

  hold(pattern: MessageWords): void {
    this.#heldBack.push(pattern);
  }

  /** False when nothing is held by these words. */
  release(pattern: MessageWords): boolean {
    const kept = this.#heldBack.filter((held) => patternText(held) !== patternText(pattern));
    const wasHeld = kept.length < this.#heldBack.length;
    this.#heldBack = kept;
    return wasHeld;
  }

  #take(count: number, isChosen: (message: Message) => boolean): readonly Message[] {
    const taken: Message[] = [];
    this.#inFlight = this.#inFlight.filter((message) => {
      if (taken.length >= count || !isChosen(message)) return true;
      taken.push(message);
      return false;
    });
    return taken;
  }
}

function link(from: NodeId, to: NodeId): string {
  return `${from}>${to}`;
}

function matchesAny(patterns: readonly MessageWords[], message: Message): boolean {
  return patterns.some((pattern) => matchesWords(pattern, message));
}
