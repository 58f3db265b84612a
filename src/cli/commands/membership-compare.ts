import { ExitError } from "#kernel";
import { type Command, parse } from "../command.ts";
import { askNode, httpHelp, httpOption } from "../http-door.ts";
import { outputFormat, outputHelp, outputOptions, printJson, printRows } from "../output.ts";

export const membershipCompare: Command = {
  name: "membership compare",
  summary: "What SWIM and HTTP polling have found of one cluster, side by side (membership mode hybrid)",
  usage: "[--http URL|HOST:PORT] [-o table|json]",
  details: `What one node has seen since it began to join. A death is judged by what comes after it: see docs/membership.md.

Options:
${httpHelp}
${outputHelp}
Exit code 3 when that node does not run both detectors.`,
  run: async (args) => {
    const { values } = parse(args, { ...httpOption, ...outputOptions }, []);
    const format = outputFormat(values);
    const { body } = await askNode(values.http, "/v1/nodes", 5_000);
    const comparison = (body["comparison"] ?? null) as ComparisonBody | null;
    if (comparison === null) throw new ExitError(3, "that node does not run both detectors", "Set membership.mode: hybrid.");
    if (format === "json") {
      printJson(comparison);
      return 0;
    }
    printRows(format, [["swim", comparison.swim] as const, ["http", comparison.http] as const], {
      DETECTOR: ([name]) => name,
      SUSPICIONS: ([, found]) => String(found.suspicions),
      DEATHS: ([, found]) => String(found.deaths),
      FALSE: ([, found]) => String(found.false_deaths),
      UNCLEAR: ([, found]) => String(found.unclear_deaths),
      "DETECTION P50": ([, { detection }]) => (detection === null ? "-" : `${detection.p50_ms / 1_000} s`),
      "DETECTION P99": ([, { detection }]) => (detection === null ? "-" : `${detection.p99_ms / 1_000} s`),
      MESSAGES: ([, found]) => String(found.messages),
    });
    const lead = comparison.swim_lead_ms === null ? "" : `, SWIM earlier by ${comparison.swim_lead_ms / 1_000} s (median)`;
    const open = comparison.open.map(({ node_id: id, swim, http }) => `${id}: swim ${swim}, http ${http}\n`).join("");
    process.stdout.write(
      `over ${Math.round(comparison.for_ms / 1_000)} s: ${comparison.found_by_both} deaths found by both${lead}; ` +
        `${comparison.disagreements} disagreements, ${Math.round(comparison.disagreed_ms / 1_000)} s in all\n${open}`,
    );
    return 0;
  },
};

interface FiguresBody {
  readonly suspicions: number;
  readonly deaths: number;
  readonly false_deaths: number;
  readonly unclear_deaths: number;
  readonly messages: number;
  readonly detection: { readonly p50_ms: number; readonly p99_ms: number } | null;
}

/** `comparison` in `GET /v1/nodes`. */
interface ComparisonBody {
  readonly for_ms: number;
  readonly swim: FiguresBody;
  readonly http: FiguresBody;
  readonly found_by_both: number;
  readonly swim_lead_ms: number | null;
  readonly disagreements: number;
  readonly disagreed_ms: number;
  readonly open: readonly { readonly node_id: string; readonly swim: string; readonly http: string }[];
}
