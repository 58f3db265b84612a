import { NodeId } from "#kernel";

/** What the status page of a voter says of the log. */
export interface LogWord {
  /** Up to here the voter has applied it. */
  readonly appliedIndex: number;
  /** Whom the operator has forgotten and not readmitted. */
  readonly forgotten: ReadonlySet<NodeId>;
}

/** Null where the page tells nothing: a worker has no log, and a voter that starts or is quarantined does not show its state. */
export function logWordIn(status: Readonly<Record<string, unknown>>): LogWord | null {
  const { applied_index: applied, committed_nodes: nodes } = status;
  if (typeof applied !== "string" || !/^[0-9]{1,15}$/.test(applied)) return null;
  if (typeof nodes !== "object" || nodes === null) return null;
  const evicted = Object.entries(nodes as Readonly<Record<string, { readonly state?: unknown } | null>>)
    .filter(([, node]) => node?.state === "EVICTED")
    .map(([id]) => NodeId(id));
  return { appliedIndex: Number(applied), forgotten: new Set(evicted) };
}
