import { type Refusal, refusal } from "#kernel";
import { checkCount, checkDuration, checkName, checkText, invalid } from "../check.ts";
import { fixedLimits } from "../limits.ts";
import type { MachineLimits } from "../machine-types.ts";
import type { Backoff, LabelRule, Requirements, WorkSpec } from "../objects.ts";
import { numberIn } from "./match.ts";

/** Sizes and ranges of an item as it is enqueued. `at` names it in the protocol's spelling: `spec`, `items[3]`. */
export function checkSpec(at: string, spec: WorkSpec, limits: MachineLimits): Refusal | null {
  return (
    checkName(`${at}.queue`, spec.queue) ??
    checkText(`${at}.kind`, spec.kind, fixedLimits.nameBytes) ??
    checkText(`${at}.payload`, spec.payload, limits.maxPayloadBytes) ??
    checkText(`${at}.payload_uri`, spec.payloadUri, fixedLimits.textBytes) ??
    checkText(`${at}.unique_key`, spec.uniqueKey, fixedLimits.nameBytes) ??
    checkText(`${at}.created_by`, spec.createdBy, fixedLimits.nameBytes) ??
    checkCount(`${at}.priority`, spec.priority, -2_147_483_648, 2_147_483_647) ??
    checkCount(`${at}.run_at_ms`, spec.runAtMs, 0, fixedLimits.wallMs) ??
    checkDuration(`${at}.deadline_ms`, spec.deadlineMs) ??
    checkDuration(`${at}.schedule_to_start_timeout_ms`, spec.scheduleToStartTimeoutMs) ??
    checkDuration(`${at}.start_to_close_timeout_ms`, spec.startToCloseTimeoutMs) ??
    checkDuration(`${at}.heartbeat_timeout_ms`, spec.heartbeatTimeoutMs) ??
    checkDuration(`${at}.ttl_after_finished_ms`, spec.ttlAfterFinishedMs) ??
    checkCount(`${at}.max_attempts`, spec.maxAttempts, 1, fixedLimits.attempts) ??
    checkCount(`${at}.max_losses`, spec.maxLosses, 0, fixedLimits.attempts) ??
    checkBackoff(`${at}.backoff`, spec.backoff) ??
    (spec.requires === null ? null : checkRequirements(`${at}.requires`, spec.requires)) ??
    (spec.jobId === null ? null : refusal("INVALID_ARGUMENT", `${at}.job_id is set by the job`, { field: `${at}.job_id` }))
  );
}

function checkBackoff(at: string, backoff: Backoff): Refusal | null {
  const problem = checkDuration(`${at}.initial_ms`, backoff.initialMs) ?? checkDuration(`${at}.max_ms`, backoff.maxMs);
  if (problem !== null) return problem;
  if (!(backoff.multiplier >= 1 && backoff.multiplier <= 100)) {
    return invalid(`${at}.multiplier`, `must be from 1 to 100, got ${backoff.multiplier}`);
  }
  if (!(backoff.jitter >= 0 && backoff.jitter <= 1)) return invalid(`${at}.jitter`, `must be from 0 to 1, got ${backoff.jitter}`);
  return null;
}

function checkRequirements(at: string, requires: Requirements): Refusal | null {
  const resources = `${at}.resources`;
  const most = 4_294_967_295;
  const problem =
    checkCount(`${resources}.gpu_count`, requires.gpuCount, 0, most) ??
    checkCount(`${resources}.gpu_memory_mib`, requires.gpuMemoryMib, 0, most) ??
    checkCount(`${resources}.cpu`, requires.cpu, 0, most) ??
    checkCount(`${resources}.memory_mib`, requires.memoryMib, 0, most) ??
    checkCount(`${resources}.disk_mib`, requires.diskMib, 0, most) ??
    checkCount(`${at}.cuda_min`, requires.cudaMin, 0, most);
  if (problem !== null) return problem;
  if (requires.gpuModels.length > fixedLimits.listEntries) return tooMany(`${at}.gpu_model`);
  for (const model of requires.gpuModels) {
    const unfit = checkName(`${at}.gpu_model`, model);
    if (unfit !== null) return unfit;
  }
  if (requires.labels.length > fixedLimits.listEntries) return tooMany(`${at}.labels`);
  for (const [i, rule] of requires.labels.entries()) {
    const unfit = checkLabelRule(`${at}.labels[${i}]`, rule);
    if (unfit !== null) return unfit;
  }
  return null;
}

function checkLabelRule(at: string, rule: LabelRule): Refusal | null {
  const problem = checkName(`${at}.key`, rule.key);
  if (problem !== null) return problem;
  if (rule.values.length > fixedLimits.listEntries) return tooMany(`${at}.values`);
  for (const value of rule.values) {
    const unfit = checkText(`${at}.values`, value, fixedLimits.textBytes);
    if (unfit !== null) return unfit;
  }
  switch (rule.operator) {
    case "in":
    case "not_in":
      return rule.values.length > 0 ? null : invalid(`${at}.values`, `must hold at least one value for ${rule.operator}`);
    case "exists":
      return rule.values.length === 0 ? null : invalid(`${at}.values`, "must be empty for exists");
    case "gt":
    case "lt":
      if (rule.values.length === 1 && Number.isFinite(numberIn(rule.values[0]))) return null;
      return invalid(`${at}.values`, `must hold one number for ${rule.operator}`);
    default:
      // The protocol carries it as text, so what arrives may be none of these.
      return invalid(`${at}.operator`, `must be in, not_in, exists, gt or lt, got ${String(rule.operator)}`);
  }
}

const tooMany = (field: string): Refusal => invalid(field, `has more than ${fixedLimits.listEntries} entries`);
