import type {
  JobPhase,
  LockState,
  ModelVersionState,
  NodeScheduling,
  NodeState,
  SessionState,
  WorkError,
  WorkState,
} from "#statemachine";
import { JobPhase as JobPhaseCode } from "#gen/ringraft/v1/job.js";
import { LockState as LockStateCode } from "#gen/ringraft/v1/lock.js";
import { ModelVersionState as ModelVersionStateCode } from "#gen/ringraft/v1/model.js";
import { NodeScheduling as NodeSchedulingCode, NodeState as NodeStateCode } from "#gen/ringraft/v1/node.js";
import { SessionState as SessionStateCode } from "#gen/ringraft/v1/session.js";
import { FailureCause, WorkState as WorkStateCode } from "#gen/ringraft/v1/work.js";
import { WireError } from "./wire-reader.ts";

/**
 * The protocol's enums end here. Each table must have every value of the domain to compile, and every value of the protocol
 * too where the names are the same (`Complete`); a test holds the rest.
 */
export interface EnumCodec<Value extends string> {
  code(value: Value): number;
  /** Null for 0 (unspecified) and for codes of a newer version. */
  value(code: number): Value | null;
  /** Throws {@link WireError} instead of null: for what a server says. */
  expect(code: number): Value;
}

export const workStates = enumCodec("WorkState", {
  PENDING: WorkStateCode.PENDING,
  CLAIMED: WorkStateCode.CLAIMED,
  RUNNING: WorkStateCode.RUNNING,
  SUCCEEDED: WorkStateCode.SUCCEEDED,
  FAILED: WorkStateCode.FAILED,
  DEAD: WorkStateCode.DEAD,
  CANCELLED: WorkStateCode.CANCELLED,
} as const satisfies Record<WorkState, WorkStateCode> & Complete<typeof WorkStateCode, "WORK_STATE_UNSPECIFIED">);

export const failureCauses = enumCodec("FailureCause", {
  app: FailureCause.APP,
  timeout: FailureCause.TIMEOUT,
  lost: FailureCause.LOST,
  preempted: FailureCause.PREEMPTED,
  cancelled: FailureCause.CAUSE_CANCELLED,
} as const satisfies Record<WorkError["cause"], FailureCause>);

export const jobPhases = enumCodec("JobPhase", {
  PENDING: JobPhaseCode.JOB_PENDING,
  RUNNING: JobPhaseCode.JOB_RUNNING,
  SUCCEEDED: JobPhaseCode.JOB_SUCCEEDED,
  FAILED: JobPhaseCode.JOB_FAILED,
  CANCELLING: JobPhaseCode.JOB_CANCELLING,
  CANCELLED: JobPhaseCode.JOB_CANCELLED,
} as const satisfies Record<JobPhase, JobPhaseCode>);

export const versionStates = enumCodec("ModelVersionState", {
  UPLOADING: ModelVersionStateCode.UPLOADING,
  READY: ModelVersionStateCode.READY,
  ABORTED: ModelVersionStateCode.ABORTED,
  ARCHIVED: ModelVersionStateCode.ARCHIVED,
  QUARANTINED: ModelVersionStateCode.QUARANTINED,
  DELETED: ModelVersionStateCode.DELETED,
} as const satisfies Record<ModelVersionState, ModelVersionStateCode> &
  Complete<typeof ModelVersionStateCode, "MODEL_VERSION_STATE_UNSPECIFIED">);

export const lockStates = enumCodec("LockState", {
  FREE: LockStateCode.FREE,
  HELD: LockStateCode.HELD,
  DELAY: LockStateCode.DELAY,
} as const satisfies Record<LockState, LockStateCode> & Complete<typeof LockStateCode, "LOCK_STATE_UNSPECIFIED">);

export const sessionStates = enumCodec("SessionState", {
  OPEN: SessionStateCode.OPEN,
  SUSPECT: SessionStateCode.SUSPECT,
} as const satisfies Record<SessionState, SessionStateCode> & Complete<typeof SessionStateCode, "SESSION_STATE_UNSPECIFIED">);

export const nodeStates = enumCodec("NodeState", {
  UP: NodeStateCode.NODE_UP,
  DOWN: NodeStateCode.NODE_DOWN,
  EVICTED: NodeStateCode.NODE_EVICTED,
} as const satisfies Record<NodeState, NodeStateCode>);

export const nodeSchedulings = enumCodec("NodeScheduling", {
  OPEN: NodeSchedulingCode.NODE_OPEN,
  CORDONED: NodeSchedulingCode.NODE_CORDONED,
  DRAINING: NodeSchedulingCode.NODE_DRAINING,
} as const satisfies Record<NodeScheduling, NodeSchedulingCode>);

type Complete<Enum, Unspecified extends string> = Record<Exclude<keyof Enum, Unspecified>, number>;

function enumCodec<Value extends string>(typeName: string, codes: Readonly<Record<Value, number>>): EnumCodec<Value> {
  const values: (Value | undefined)[] = [];
  for (const value in codes) values[codes[value]] = value;
  return {
    code: (value) => codes[value],
    value: (code) => values[code] ?? null,
    expect(code) {
      const value = values[code];
      if (value === undefined) throw new WireError(`${typeName} ${code} is not known to this version`);
      return value;
    },
  };
}
