import { detectorSettings } from "./membership.ts";
import type { Finding } from "./problem.ts";
import type { FileShape } from "./schema.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Modes {
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
}

interface Axis {
  readonly section: "membership" | "consensus";
  readonly modeVariable: string;
  readonly enabledVariable: string;
  readonly modes: readonly string[];
  /** The one that this version does, and the default. */
  readonly done: string;
  /** What ENABLED=false falls back to. */
  readonly fallback: string;
}

const membership: Axis = {
  section: "membership",
  modeVariable: "RINGRIFT_MEMBERSHIP_MODE",
  enabledVariable: "RINGRIFT_SWIM_ENABLED",
  modes: ["http", "swim", "hybrid"],
  done: "swim",
  fallback: "http",
};
const consensus: Axis = {
  section: "consensus",
  modeVariable: "RINGRIFT_CONSENSUS_MODE",
  enabledVariable: "RINGRIFT_RAFT_ENABLED",
  modes: ["bully", "raft", "hybrid", "etcd"],
  done: "raft",
  fallback: "bully",
};

/**
 * ADR-013's flags. The MODE decides; an ENABLED flag only supplies the default where its MODE is unset, and one that
 * contradicts the MODE it would switch off is an error. What this version does not do yet is refused, never ignored.
 */
export function checkModes(env: Environment, shape: FileShape): Modes {
  const axes = [check(membership, env, shape.membership?.mode), check(consensus, env, shape.consensus?.mode)];
  const findings = axes.flatMap((axis) => axis.findings);
  for (const path of detectorSettings(shape)) {
    const hint = "no detector runs yet: leave it out; ringraft swim explain --config FILE shows what it will mean";
    findings.push(unimplemented(path, path.join("."), hint));
  }
  return { findings, warnings: axes.flatMap((axis) => axis.warnings) };
}

function check(axis: Axis, env: Environment, configured: string | undefined): { findings: Finding[]; warnings: Finding[] } {
  const asked = env[axis.modeVariable] ?? configured;
  const source = env[axis.modeVariable] === undefined ? `${axis.section}.mode` : axis.modeVariable;
  const enabled = env[axis.enabledVariable];
  const findings: Finding[] = [];
  if (enabled !== undefined && enabled !== "true" && enabled !== "false") {
    findings.push({ path: [axis.enabledVariable], message: `${JSON.stringify(enabled)} must be true or false` });
  }
  if (asked !== undefined && !axis.modes.includes(asked)) {
    findings.push({ path: [source], message: `${JSON.stringify(asked)} must be one of ${axis.modes.join(", ")}` });
  }
  if (findings.length > 0) return { findings, warnings: [] };
  if (enabled === "false" && asked === axis.done) {
    const message = `${axis.enabledVariable}=false contradicts ${source}=${asked}`;
    return { findings: [{ path: [axis.enabledVariable], message, hint: "unset one of the two" }], warnings: [] };
  }
  const mode = asked ?? (enabled === "false" ? axis.fallback : axis.done);
  if (mode !== axis.done) {
    const why =
      asked === undefined ? `${axis.enabledVariable}=false (which means ${axis.section} mode ${mode})` : `${source}=${mode}`;
    const path = asked === undefined ? [axis.enabledVariable] : source.split(".");
    return { findings: [unimplemented(path, why, `this version does ${axis.done} only: leave it out`)], warnings: [] };
  }
  if (axis.section === "consensus" || (asked === undefined && enabled === undefined)) return { findings: [], warnings: [] };
  const message = `${asked === undefined ? axis.enabledVariable : source} asks for swim: until the SWIM detector exists, liveness comes from voters' streams and from sessions`;
  return { findings: [], warnings: [{ path: asked === undefined ? [axis.enabledVariable] : source.split("."), message }] };
}

function unimplemented(path: readonly string[], what: string, hint: string): Finding {
  return { path, message: `UNIMPLEMENTED: ${what} is not in this version`, hint };
}
