import { MonotonicMs, NodeId, type Incarnation } from "#kernel";
import { MemberTable } from "../../../src/membership/core/swim/member-table.ts";
import { Address, type MemberRecord, type MemberState } from "../../../src/membership/core/swim/types.ts";

export const T0 = MonotonicMs(1_000);
export const limits = { tombstoneMs: 86_400_000, maxMembers: 1_000 };

/** `dead@3` is member x, dead at counter 3 of epoch 1; `dead@2.3` is of epoch 2. */
export function statement(text: string, changes: Partial<MemberRecord> = {}): MemberRecord {
  const [state, number] = text.split("@") as [MemberState, string];
  const id = changes.id ?? NodeId("x");
  return {
    id,
    incarnation: incarnation(number),
    state,
    addresses: [Address("192.0.2.1:8771")],
    reach: "direct",
    relays: [],
    metadata: { role: "worker", provider: "lambda", capabilities: [], version: "1", degraded: false, keys: [], voters: null },
    accuser: state === "left" ? id : state === "suspect" || state === "dead" ? NodeId("accuser") : null,
    ...changes,
  };
}

export function incarnation(text: string): Incarnation {
  const [counter, epoch = 1] = text.split(".").map(Number).toReversed();
  return { epoch, counter: counter! };
}

/** `alive@2.0`, or `nobody`. */
export function told(record: MemberRecord | null): string {
  return record === null ? "nobody" : `${record.state}@${record.incarnation.epoch}.${record.incarnation.counter}`;
}

export const addresses = (...texts: string[]): Pick<MemberRecord, "addresses"> => ({ addresses: texts.map(Address) });

/** The table of node `self` at epoch 1, counter 0. */
export function tableOf(...statements: string[]): MemberTable {
  const table = new MemberTable(T0, statement("alive@0", { id: NodeId("self"), ...addresses("192.0.2.9:8771") }), limits);
  for (const text of statements) table.apply(T0, statement(text), "gossip");
  return table;
}
