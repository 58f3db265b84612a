/**
 * How new a statement about a node is: `epoch` first, then `counter` (both u32). The epoch is the node's durable boot
 * count, so a restarted node beats whatever was said of its former life; the counter rises with each refutation.
 */
export interface Incarnation {
  readonly epoch: number;
  readonly counter: number;
}

/** Negative when `a` is older than `b`, 0 when equal, positive when newer: the epoch decides, then the counter. */
export function compareIncarnations(a: Incarnation, b: Incarnation): number {
  return a.epoch === b.epoch ? a.counter - b.counter : a.epoch - b.epoch;
}

export function incarnationText({ epoch, counter }: Incarnation): string {
  return `${epoch}.${counter}`;
}
