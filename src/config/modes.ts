import { setsMembership } from "./membership.ts";
import type { Finding } from "./problem.ts";
import type { FileShape } from "./schema.ts";
import type { NodeConfig } from "./types.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Modes {
  readonly membership: NodeConfig["modes"]["membership"];
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
}

interface Axis {
  readonly section: "membership" | "consensus";
  readonly modeVariable: string;
  readonly enabledVariable: string;
  readonly modes: readonly string[];
  /** What this version does, its default first: what ENABLED=true stands for. */
  readonly done: readonly [string, ...string[]];
  /** What ENABLED=false falls back to. */
  readonly fallback: string;
}

const membership: Axis = {
  section: "membership",
  modeVariable: "RINGRIFT_MEMBERSHIP_MODE",
  enabledVariable: "RINGRIFT_SWIM_ENABLED",
  modes: ["http", "swim", "hybrid"],
  done: ["swim", "hybrid", "http"],
  fallback: "http",
};
const consensus: Axis = {
  section: "consensus",
  modeVariable: "RINGRIFT_CONSENSUS_MODE",
  enabledVariable: "RINGRIFT_RAFT_ENABLED",
  modes: ["bully", "raft", "hybrid", "etcd"],
  done: ["raft"],
  fallback: "bully",
};

/**
 * ADR-013's flags. The MODE decides; an ENABLED flag only supplies the default where its MODE is unset, and one that
 * contradicts the MODE it would switch off is an error. What this version does not do yet is refused, never ignored.
 */
export function checkModes(env: Environment, shape: FileShape): Modes {
  const detector = check(membership, env, shape.membership?.mode);
  const order = check(consensus, env, shape.consensus?.mode);
  const mode = (detector.mode ?? (setsMembership(shape) ? "swim" : "none")) as Modes["membership"];
  return {
    membership: mode,
    findings: [...detector.findings, ...order.findings],
    warnings: [...detector.warnings, ...order.warnings],
  };
}

/** Asked once everything else is right: whoever has a wrong number in the section is told of the number first. */
export function checkGossipKey(mode: Modes["membership"], shape: FileShape): readonly Finding[] {
  if ((mode !== "swim" && mode !== "hybrid") || shape.membership?.key_file !== undefined) return [];
  const message = `membership mode ${mode} needs membership.key_file: every packet is sealed with the cluster's key`;
  const hint = "openssl rand -base64 32 > gossip.key && chmod 600 gossip.key, the same file on every node";
  return [{ path: ["membership"], message, hint }];
}

interface Checked {
  /** Null: nobody asked for one. */
  readonly mode: string | null;
  readonly findings: readonly Finding[];
  readonly warnings: readonly Finding[];
}

function check(axis: Axis, env: Environment, configured: string | undefined): Checked {
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
  if (findings.length > 0) return { mode: null, findings, warnings: [] };
  const [main] = axis.done;
  if (enabled === "false" && asked === main) {
    const message = `${axis.enabledVariable}=false contradicts ${source}=${asked}`;
    return { mode: null, findings: [{ path: [axis.enabledVariable], message, hint: "unset one of the two" }], warnings: [] };
  }
  const mode = asked ?? (enabled === undefined ? null : enabled === "false" ? axis.fallback : main);
  if (mode !== null && !axis.done.includes(mode)) {
    const why =
      asked === undefined ? `${axis.enabledVariable}=false (which means ${axis.section} mode ${mode})` : `${source}=${mode}`;
    const path = asked === undefined ? [axis.enabledVariable] : source.split(".");
    return { mode, findings: [unimplemented(path, why, `this version does ${main} only: leave it out`)], warnings: [] };
  }
  return { mode, findings: [], warnings: warnHalfway(axis, enabled, source, mode) };
}

/**
 * The state in the middle of the ADR's rollback: switched on, and the MODE says the legacy one. Or switched off, and the MODE
 * says both.
 */
function warnHalfway(axis: Axis, enabled: string | undefined, source: string, mode: string | null): readonly Finding[] {
  if (enabled === undefined || mode !== (enabled === "true" ? axis.fallback : "hybrid")) return [];
  const message = `${axis.enabledVariable}=${enabled} has no effect: ${source}=${mode} decides`;
  return [{ path: [axis.enabledVariable], message }];
}

function unimplemented(path: readonly string[], what: string, hint: string): Finding {
  return { path, message: `UNIMPLEMENTED: ${what} is not in this version`, hint };
}
