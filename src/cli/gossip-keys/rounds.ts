import { setTimeout as pause } from "node:timers/promises";
import { type Door } from "../doors.ts";
import { askNode, orderNode } from "../http-door.ts";
import type { KeyView } from "./holders.ts";

const ASK_TIMEOUT_MS = 5_000;
/** An order waits for a synced write of the key file. */
const ORDER_TIMEOUT_MS = 20_000;
const AGAIN_MS = 300;

/** What came of asking one node. */
export interface Asked<T> {
  readonly door: Door;
  readonly value: T | null;
  /** Why there is no value. */
  readonly problem: string | null;
}

export async function askViews(doors: readonly Door[]): Promise<readonly Asked<KeyView>[]> {
  return await Promise.all(
    doors.map(async (door): Promise<Asked<KeyView>> => {
      try {
        const { status, body } = await askNode(door.base, "/v1/nodes", ASK_TIMEOUT_MS);
        if (status !== 200) return { door, value: null, problem: problemIn(body, status) };
        const view = viewIn(body);
        const isOther = door.nodeId !== null && door.nodeId !== view.nodeId;
        return isOther ? { door, value: null, problem: `it is ${view.nodeId}` } : { door, value: view, problem: null };
      } catch (error) {
        return { door, value: null, problem: (error as Error).message };
      }
    }),
  );
}

/** One order to everybody in `doors`. A refusal is final: whoever refuses has looked at its own view. */
export async function orderAll(doors: readonly Door[], order: object, adminKey: string | null): Promise<readonly Asked<true>[]> {
  return await Promise.all(
    doors.map(async (door): Promise<Asked<true>> => {
      try {
        const { status, body } = await orderNode(door.base, "/admin/gossip-keys", ORDER_TIMEOUT_MS, { order, adminKey });
        return status === 200 ? { door, value: true, problem: null } : { door, value: null, problem: problemIn(body, status) };
      } catch (error) {
        return { door, value: null, problem: (error as Error).message };
      }
    }),
  );
}

/** Looks until `isEnough` or the time is over, and gives the last look. */
export async function lookUntil(
  doors: readonly Door[],
  isEnough: (views: readonly KeyView[]) => boolean,
  isOver: () => boolean,
): Promise<readonly Asked<KeyView>[]> {
  for (;;) {
    const asked = await askViews(doors);
    if (isOver() || isEnough(valuesOf(asked))) return asked;
    await pause(AGAIN_MS);
  }
}

export function valuesOf<T>(asked: readonly Asked<T>[]): readonly T[] {
  return asked.flatMap(({ value }) => (value === null ? [] : [value]));
}

function viewIn(body: Readonly<Record<string, unknown>>): KeyView {
  const rows = (body["nodes"] ?? []) as readonly {
    readonly node_id: string;
    readonly state: string;
    readonly incarnation?: string;
    readonly keys?: readonly string[];
  }[];
  return {
    nodeId: String(body["node_id"]),
    members: rows.map(({ node_id: nodeId, state, incarnation = "0.0", keys = [] }) => ({ nodeId, state, incarnation, keys })),
  };
}

function problemIn(body: Readonly<Record<string, unknown>>, status: number): string {
  return (body["error"] as { readonly message?: string } | undefined)?.message ?? `the node answered ${status}`;
}
