import type { DevLayout } from "./layout.ts";

/** What the terminal shows, taken from the nodes' own `GET /status`. */
export interface Progress {
  readonly leader: string | null;
  readonly term: string;
  readonly votersAlive: number;
  readonly votersTotal: number;
  readonly pending: number;
  readonly running: number;
  readonly done: number;
  readonly model: string;
}

/** Asks the voters in turn; null while none answers. Prefers one that knows the leader. */
export async function fetchProgress(layout: DevLayout): Promise<Progress | null> {
  let fallback: Progress | null = null;
  for (const node of layout.nodes) {
    if (node.role !== "voter") continue;
    const progress = await ask(node.ports.http);
    if (progress?.leader != null) return progress;
    fallback ??= progress;
  }
  return fallback;
}

export function progressLine(progress: Progress | null): string {
  if (progress === null) return "no voter answers yet";
  return [
    `leader ${progress.leader ?? "none"} (term ${progress.term}, ${progress.votersAlive}/${progress.votersTotal} voters)`,
    `queue ${progress.pending} waiting, ${progress.running} running, ${progress.done} done`,
    `canonical ${progress.model}`,
  ].join("  ");
}

/** Minutes and seconds. */
export function elapsedSince(startedMs: number): string {
  const seconds = Math.floor((Date.now() - startedMs) / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

async function ask(port: number): Promise<Progress | null> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/status`, { signal: AbortSignal.timeout(1_000) });
    return fromStatus((await answer.json()) as StatusBody);
  } catch {
    return null;
  }
}

/** The part of `/status` that is shown here. */
interface StatusBody {
  readonly leader_id?: string | null;
  readonly term?: string;
  readonly voters?: Readonly<Record<string, { readonly alive: boolean }>>;
  /** Items of all queues by state. */
  readonly work?: Readonly<Record<string, number>>;
  readonly models?: Readonly<
    Record<string, { readonly canonical_version: number | null; readonly canonical_reason: string | null }>
  >;
}

function fromStatus(body: StatusBody): Progress {
  const voters = Object.values(body.voters ?? {});
  const work = body.work ?? {};
  const canonical = Object.values(body.models ?? {}).find((model) => model.canonical_version !== null);
  return {
    leader: body.leader_id ?? null,
    term: body.term ?? "0",
    votersAlive: voters.filter((voter) => voter.alive).length,
    votersTotal: voters.length,
    pending: work["PENDING"] ?? 0,
    running: (work["CLAIMED"] ?? 0) + (work["RUNNING"] ?? 0),
    done: work["SUCCEEDED"] ?? 0,
    model: canonical === undefined ? "none yet" : `v${canonical.canonical_version} (${canonical.canonical_reason ?? ""})`,
  };
}
