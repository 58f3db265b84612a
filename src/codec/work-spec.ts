import type { Backoff, Capabilities, LabelRule, Progress, Requirements, Resources, WorkError, WorkSpec } from "#statemachine";
import {
  type Backoff as BackoffMessage,
  type Capabilities as CapabilitiesMessage,
  FailureCause,
  type LabelRule as LabelRuleMessage,
  type Requirements as RequirementsMessage,
  type Resources as ResourcesMessage,
  type WorkError as WorkErrorMessage,
  type WorkProgress as ProgressMessage,
  type WorkSpec as WorkSpecMessage,
} from "#gen/ringraft/v1/work.js";
import {
  type Path,
  count,
  duration,
  finite,
  invalid,
  name,
  notDoneYet,
  optionalName,
  payload,
  range,
  text,
  texts,
} from "./checks.ts";
import { failureCauses } from "./enums.ts";
import { codecLimits, commandDefaults } from "./limits.ts";

/** Checks a spec and fills its defaults. A spec that was filled once comes through unchanged. Throws FieldRefused. */
export function decodeWorkSpec(spec: WorkSpecMessage, at: Path): WorkSpec {
  refuseFieldsNotDoneYet(spec, at);
  return {
    queue: optionalName(spec.queue, at, "queue") || commandDefaults.queue,
    kind: name(spec.kind, at, "kind"),
    payload: payload(spec.payload, at, "payload"),
    payloadUri: text(spec.payloadUri, at, "payload_uri"),
    priority: spec.priority,
    runAtMs: spec.runAtMs,
    deadlineMs: duration(spec.deadlineMs, at, "deadline_ms"),
    scheduleToStartTimeoutMs: duration(spec.scheduleToStartTimeoutMs, at, "schedule_to_start_timeout_ms"),
    startToCloseTimeoutMs: duration(spec.startToCloseTimeoutMs, at, "start_to_close_timeout_ms"),
    heartbeatTimeoutMs: duration(spec.heartbeatTimeoutMs, at, "heartbeat_timeout_ms"),
    maxAttempts: range(spec.maxAttempts || commandDefaults.maxAttempts, 1, codecLimits.maxAttempts, at, "max_attempts"),
    maxLosses: range(spec.maxLosses || commandDefaults.maxLosses, 1, codecLimits.maxAttempts, at, "max_losses"),
    backoff: decodeBackoff(spec.backoff, at),
    uniqueKey: optionalName(spec.uniqueKey, at, "unique_key"),
    requires: spec.requires === undefined ? null : decodeRequirements(spec.requires, at),
    jobId: null,
    ttlAfterFinishedMs: duration(spec.ttlAfterFinishedMs, at, "ttl_after_finished_ms"),
    createdBy: optionalName(spec.createdBy, at, "created_by"),
  };
}

export function decodeCapabilities(capabilities: CapabilitiesMessage): Capabilities {
  return {
    ...decodeResources(capabilities.resources),
    gpuModel: optionalName(capabilities.gpuModel, "capabilities.", "gpu_model"),
    cuda: capabilities.cuda,
    labels: texts(capabilities.labels, "capabilities.", "labels"),
  };
}

export function decodeProgress(progress: ProgressMessage, at: Path): Progress {
  return {
    percent: range(progress.percent, 0, 100, at, "percent"),
    step: text(progress.step, at, "step"),
    message: text(progress.message, at, "message"),
  };
}

export function decodeWorkError(error: WorkErrorMessage, at: Path): WorkError {
  const cause = error.cause === FailureCause.FAILURE_CAUSE_UNSPECIFIED ? "app" : failureCauses.value(error.cause);
  if (cause === null) throw invalid(at, "cause", `has no value ${error.cause}`);
  return {
    code: optionalName(error.code, at, "code"),
    message: text(error.message, at, "message"),
    retryable: error.retryable,
    cause,
  };
}

function refuseFieldsNotDoneYet(spec: WorkSpecMessage, at: Path): void {
  notDoneYet(spec.dependsOn.length > 0, at, "depends_on");
  notDoneYet(spec.onDependencyFailure !== "", at, "on_dependency_failure");
  notDoneYet(spec.concurrencyKey !== "", at, "concurrency_key");
  notDoneYet(spec.rateKey !== "", at, "rate_key");
  notDoneYet(spec.uniqueTtlMs !== 0, at, "unique_ttl_ms");
  notDoneYet(spec.prefers.length > 0, at, "prefers");
}

function decodeBackoff(backoff: BackoffMessage | undefined, at: Path): Backoff {
  if (backoff === undefined) return commandDefaults.backoff;
  const { initialMs, multiplier, maxMs, jitter } = commandDefaults.backoff;
  return {
    initialMs: backoff.initialMs || initialMs,
    multiplier: range(
      finite(backoff.multiplier === 0 ? multiplier : backoff.multiplier, at, "backoff.multiplier"),
      1,
      100,
      at,
      "backoff.multiplier",
    ),
    maxMs: backoff.maxMs || maxMs,
    jitter: range(backoff.jitter ?? jitter, 0, 1, at, "backoff.jitter"),
  };
}

function decodeRequirements(requires: RequirementsMessage, at: Path): Requirements {
  count(requires.gpuModel.length, 0, codecLimits.maxEntries, at, "requires.gpu_model");
  count(requires.labels.length, 0, codecLimits.maxEntries, at, "requires.labels");
  return {
    ...decodeResources(requires.resources),
    gpuModels: requires.gpuModel.map((model, i) => name(model, at, `requires.gpu_model[${i}]`)),
    cudaMin: requires.cudaMin,
    labels: requires.labels.map((rule, i) => decodeLabelRule(rule, at, `requires.labels[${i}]`)),
  };
}

function decodeLabelRule(rule: LabelRuleMessage, at: Path, field: string): LabelRule {
  const { operator, values } = rule;
  if (!isOperator(operator)) {
    throw invalid(at, `${field}.operator`, `must be one of ${Object.keys(valuesPerOperator).join(", ")}, got "${operator}"`);
  }
  const { least, most } = valuesPerOperator[operator];
  count(values.length, least, most, at, `${field}.values`);
  for (const value of values) {
    text(value, at, `${field}.values`);
    if ((operator === "gt" || operator === "lt") && !isNumeric(value)) {
      throw invalid(at, `${field}.values`, `must hold a number for ${operator}, got "${value}"`);
    }
  }
  return { key: name(rule.key, at, `${field}.key`), operator, values };
}

const valuesPerOperator = {
  in: { least: 1, most: codecLimits.maxEntries },
  not_in: { least: 1, most: codecLimits.maxEntries },
  exists: { least: 0, most: 0 },
  gt: { least: 1, most: 1 },
  lt: { least: 1, most: 1 },
} as const satisfies Record<LabelRule["operator"], { readonly least: number; readonly most: number }>;

function isOperator(operator: string): operator is LabelRule["operator"] {
  return Object.hasOwn(valuesPerOperator, operator);
}

function isNumeric(value: string): boolean {
  return value.trim() !== "" && Number.isFinite(Number(value));
}

function decodeResources(resources: ResourcesMessage | undefined): Resources {
  if (resources === undefined) return { gpuCount: 0, gpuMemoryMib: 0, cpu: 0, memoryMib: 0, diskMib: 0 };
  const { gpuCount, gpuMemoryMib, cpu, memoryMib, diskMib } = resources;
  return { gpuCount, gpuMemoryMib, cpu, memoryMib, diskMib };
}
