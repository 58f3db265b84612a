import type { Door } from "../doors.ts";
import { askNode } from "../http-door.ts";
import { type Answered, type Picture, pictureOf, tellerOf } from "./picture.ts";

/** Asks every node for its status at once, and the one that is believed for its members. Never rejects: silence is a finding. */
export async function look(doors: readonly Door[], timeoutMs: number, signal: AbortSignal): Promise<Picture> {
  const answers = await Promise.all(doors.map((door) => statusOf(door, timeoutMs, signal)));
  const teller = tellerOf(answers);
  const door = doors[answers.indexOf(teller!)];
  const nodes = door === undefined ? null : await nodesOf(door, timeoutMs, signal);
  return pictureOf(answers, nodes, Date.now());
}

async function statusOf({ nodeId, base }: Door, timeoutMs: number, signal: AbortSignal): Promise<Answered> {
  const door = nodeId ?? base;
  try {
    const { body } = await askNode(base, "/status", timeoutMs, signal);
    return { door, status: body, problem: null };
  } catch (error) {
    return { door, status: null, problem: whyIn(error as Error, timeoutMs) };
  }
}

async function nodesOf({ base }: Door, timeoutMs: number, signal: AbortSignal) {
  try {
    const { status, body } = await askNode(base, "/v1/nodes", timeoutMs, signal);
    return status === 200 ? body : null;
  } catch {
    return null;
  }
}

/** In a few words; the address stands beside it. */
function whyIn(error: Error, timeoutMs: number): string {
  const cause = error.cause as (Error & { readonly cause?: Error & { readonly code?: string } }) | undefined;
  if (cause?.name === "TimeoutError") return `no answer within ${timeoutMs / 1_000} s`;
  return cause?.cause?.code ?? cause?.cause?.message ?? cause?.message ?? error.message;
}
