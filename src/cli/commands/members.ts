import { ExitError } from "#kernel";
import { type Command, parse } from "../command.ts";
import { askNode, httpHelp, httpOption } from "../http-door.ts";
import { duration, outputFormat, outputHelp, outputOptions, printJson, printRows } from "../output.ts";

export const members: Command = {
  name: "members",
  summary: "Who is there, as one node sees it: state, incarnation, path, round trip, flaps, provider, what it holds",
  usage: "[--http URL|HOST:PORT] [-o table|json]",
  details: `One node's view (its GET /v1/nodes), not the cluster's: the last line says how many of the peers that it heard lately agree.
\`member list\` tells who belongs to the log instead. CLAIMS (work items) and LOCKS are what the cluster has agreed on, as a
voter knows it; a worker shows "-" there.

Options:
${httpHelp}
${outputHelp}
Exit code 3 when no detector runs on that node.`,
  run: async (args) => {
    const { values } = parse(args, { ...httpOption, ...outputOptions }, []);
    const format = outputFormat(values);
    const view = await viewOf(values.http);
    if (format === "json") {
      printJson(view);
      return 0;
    }
    printRows(format, view.nodes, {
      NODE: (node) => `${node.node_id}${node.is_self ? " *" : ""}`,
      STATE: (node) => stateOf(node, view.committed),
      INCARNATION: (node) => node.incarnation ?? node.boot ?? "-",
      FOR: (node) => duration(node.for_ms),
      PATH: (node) => [node.path ?? "http", ...(node.relays ?? [])].join(" "),
      RTT: (node) => (node.rtt_ms === null ? "-" : `${node.rtt_ms} ms`),
      "FLAPS/H": (node) => String(node.flaps_per_hour ?? "-"),
      CLAIMS: (node) => held(view.committed, node, "claims"),
      LOCKS: (node) => held(view.committed, node, "locks"),
      PROVIDER: (node) => node.provider || "-",
      VERSION: (node) => node.version ?? "-",
      ADDRESS: (node) => node.addresses[0] ?? "-",
    });
    process.stdout.write(`${summary(view)}\n`);
    return 0;
  },
};

/** The part of `GET /v1/nodes` that is shown. */
interface NodesView {
  readonly mode: string;
  readonly lifecycle?: string;
  readonly converged: boolean;
  readonly digest?: string;
  readonly agreeing?: number;
  readonly sampled?: number;
  readonly clauses: readonly { readonly name: string; readonly detail: string | null }[];
  readonly partition?: { readonly here: readonly string[]; readonly lost: readonly string[] } | null;
  readonly other_voters?: readonly string[];
  readonly nodes: readonly NodeRow[];
  readonly committed?: Committed | null;
}

/** What the log holds; null on a worker. */
interface Committed {
  readonly nodes: Readonly<Record<string, { readonly scheduling: string }>>;
  readonly holders?: Readonly<Record<string, { readonly claims: number; readonly locks: number }>>;
}

interface NodeRow {
  readonly node_id: string;
  readonly state: string;
  readonly is_self: boolean;
  readonly incarnation?: string;
  readonly boot?: string | null;
  readonly for_ms: number;
  readonly path?: string;
  readonly relays?: readonly string[];
  readonly rtt_ms: number | null;
  readonly flaps_per_hour?: number;
  readonly degraded?: boolean;
  readonly provider?: string;
  readonly version?: string;
  readonly addresses: readonly string[];
}

function stateOf({ node_id: id, state, degraded }: NodeRow, committed: Committed | null | undefined): string {
  const scheduling = committed?.nodes[id]?.scheduling ?? "OPEN";
  const marks = [...(degraded === true ? ["degraded"] : []), ...(scheduling === "OPEN" ? [] : [scheduling.toLowerCase()])];
  return [state, ...marks].join(", ");
}

function held(committed: Committed | null | undefined, { node_id: id }: NodeRow, what: "claims" | "locks"): string {
  return committed?.holders === undefined ? "-" : String(committed.holders[id]?.[what] ?? 0);
}

async function viewOf(http: string | undefined): Promise<NodesView> {
  const { status, body } = await askNode(http, "/v1/nodes", 5_000);
  if (status === 200) return body as unknown as NodesView;
  const { error } = body as { readonly error?: { readonly message?: string } };
  throw new ExitError(status === 404 ? 3 : 1, error?.message ?? `the node answered ${status}`);
}

function summary(view: NodesView): string {
  const { mode, lifecycle, converged, digest, agreeing, sampled, clauses, partition, other_voters: odd = [] } = view;
  const broken = clauses.flatMap(({ name, detail }) => (detail === null ? [] : [`${name}: ${detail}`]));
  const seen = digest === undefined ? "" : `, digest ${digest} held by ${agreeing} of ${sampled} peers heard lately`;
  const cut =
    partition == null ? "" : `\nthe network may be cut: here ${partition.here.join(", ")}; lost ${partition.lost.join(", ")}`;
  const voters = odd.length === 0 ? "" : `\nother voters in the configuration than on this node: ${odd.join(", ")}`;
  return `mode ${mode}${lifecycle === undefined ? "" : `, ${lifecycle}`}${seen}, ${converged ? "converged" : `not converged (${broken.join("; ")})`}${cut}${voters}`;
}
