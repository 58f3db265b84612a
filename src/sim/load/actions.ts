import { completeWorkSpec } from "#codec";
import type { FencingToken, NodeId, Revision } from "#kernel";
import type { Model, Operation as Change, Reader, Reply, WorkSpec } from "#statemachine";
import type { OperationOutcome, OperationRequest } from "../history.ts";
import type { Scene } from "./client.ts";
import type { ActionKind } from "./options.ts";
import { watchFor } from "./watcher.ts";
import { patient, queueNames } from "./worker.ts";

/** `done` is called when the client may turn to the next thing; never once its life is over. */
type Action = (scene: Scene, done: () => void) => void;
type ReadRequest = Extract<OperationRequest, { kind: "read" }>;

export const actions: Readonly<Record<ActionKind, Action>> = {
  enqueue(scene, done) {
    if (scene.board.backlog > MAX_BACKLOG) return actions.read(scene, done);
    write(scene, { kind: "enqueueWork", spec: newSpec(scene) }, (outcome) => {
      const reply = replyOf(outcome);
      if (reply?.kind === "work") noteWork(scene, [reply.item.workId]);
      done();
    });
  },

  submitJob(scene, done) {
    if (scene.board.backlog > MAX_BACKLOG) return actions.read(scene, done);
    const items = Array.from({ length: 1 + Math.floor(4 * scene.random()) }, () => newSpec(scene));
    write(scene, { kind: "submitJob", jobKind: "simulated", labels: {}, items, createdBy: "" }, (outcome) => {
      const reply = replyOf(outcome);
      if (reply?.kind === "job") {
        scene.board.jobs.push(reply.job.jobId);
        noteWork(scene, reply.items as readonly Parameters<typeof noteWork>[1][number][]);
      }
      done();
    });
  },

  cancelWork(scene, done) {
    const workId = scene.board.recentWork(scene.random);
    const jobId = scene.board.jobs.at(-1);
    const by = { reason: "simulated", by: "load" };
    if (jobId !== undefined && scene.chance(0.2)) write(scene, { kind: "cancelJob", jobId, ...by }, done);
    else if (workId === null) done();
    else write(scene, { kind: "cancelWork", workId, ...by }, done);
  },

  requeueWork(scene, done) {
    const workId = scene.board.recentWork(scene.random);
    if (workId === null) done();
    else write(scene, { kind: "requeueWork", workId }, done);
  },

  /**
   * Acquire, hold for a while, release; now and then ask again while holding, or forget to release until the session ends. In
   * runs with deaths some leave the line as they leave everything: nobody may be granted a lock after that (etcd#11456).
   */
  lock(scene, done) {
    const name = scene.key("lock");
    const wait = scene.chance(0.5);
    const leavesLine = wait && scene.options.actions.includes("death") && scene.chance(0.3);
    let isAnswered = false;
    const acquire = {
      kind: "acquireLock",
      name,
      wait,
      // Who is to leave waits without end: its session ends first.
      waitTimeoutMs: leavesLine ? 0 : 500 + Math.floor(2_000 * scene.random()),
      lockDelayMs: scene.any([0, 0, 200, 1_000]),
      purpose: "simulated",
    } as const;
    if (leavesLine) {
      scene.world.after(LINE_PATIENCE_MS, () => {
        if (!isAnswered && !scene.life.isOver) leave(scene);
      });
    }
    write(scene, acquire, (outcome) => {
      isAnswered = true;
      if (outcome.kind === "unknown") return leaveLine(scene, name, done);
      const token = grantedToken(outcome);
      if (token === null) return done();
      const hold = (held: FencingToken): void => {
        scene.world.after(scene.options.thinkMs * scene.random(), () => releaseLock(scene, name, held, done));
      };
      // Asked again it is the same grant, or a new one if somebody took the first away meanwhile.
      if (scene.chance(0.2)) write(scene, { ...acquire, wait: false }, (again) => hold(grantedToken(again) ?? token));
      else hold(token);
    });
  },

  forceRelease: (scene, done) =>
    write(scene, { kind: "forceReleaseLock", name: scene.key("lock"), reason: "simulated", by: "operator" }, done),

  /** A new version, made ready, and the alias moved on to it if nobody else has moved it since it was read. */
  alias(scene, done) {
    const model = scene.key("model");
    const register = {
      kind: "registerVersion",
      model,
      configKey: "",
      description: "",
      sourceUri: scene.notebook.uniqueValue(),
      format: "",
      workId: null,
      fencingToken: null,
      parentVersion: 0,
      gitCommit: "",
      tags: {},
      guards: [],
    } as const;
    write(scene, register, (registered) => {
      const version = replyOf(registered);
      if (version?.kind !== "version") return done();
      const { number } = version.version;
      const commit = {
        kind: "commitVersion",
        model,
        number,
        sha256: "0".repeat(64),
        sizeBytes: 1,
        metrics: {},
        guards: [],
      } as const;
      write(scene, commit, () =>
        read(scene, { mode: "linearizable", what: "model", key: model }, null, (seen) => {
          const expected = aliasRevision(seen);
          const reason = scene.notebook.uniqueValue();
          const set = { kind: "setAlias", model, alias: "canonical", version: number, reason, by: "", guards: [] } as const;
          write(scene, { ...set, expectedAliasRevision: expected }, done);
        }),
      );
    });
  },

  read(scene, done) {
    const onFollower = scene.chance(0.4);
    const node = onFollower ? scene.any(scene.world.nodes) : null;
    read(scene, { mode: "linearizable", ...subject(scene) }, node, done);
  },

  staleRead(scene, done) {
    const minRevision = scene.chance(0.5) ? scene.board.revision : (0 as Revision);
    const mode = minRevision > 0 ? "min_revision" : "stale";
    read(scene, { mode, minRevision, ...subject(scene) }, scene.any(scene.world.nodes), done);
  },

  /** Runs beside whatever comes next. */
  watch(scene, done) {
    if (scene.chance(0.2)) watchFor(scene, 30_000 * scene.random());
    done();
  },

  /** As a tool does: nothing vouches for a lost answer. */
  withoutSession(scene, done) {
    const workId = scene.board.recentWork(scene.random);
    if (workId !== null && scene.chance(0.5)) {
      return scene.life.writeOnce({ kind: "cancelWork", workId, reason: "simulated", by: "tool" }, done);
    }
    if (scene.board.backlog > MAX_BACKLOG) return done();
    scene.board.backlog += 1;
    scene.life.writeOnce({ kind: "enqueueWork", spec: newSpec(scene) }, done);
  },

  /** Rarely, or nothing would ever be finished; who stays alive looks around. */
  death(scene, done) {
    if (scene.chance(0.05)) leave(scene);
    else actions.read(scene, done);
  },
};

/** Nobody knows whether it waits or holds: who does not ask keeps a lock that it never heard of for as long as it lives. */
function leaveLine(scene: Scene, name: string, done: () => void): void {
  write(scene, { kind: "cancelAcquire", name }, (outcome) => {
    if (outcome.kind === "unknown" && !scene.life.isOver) return leaveLine(scene, name, done);
    const token = grantedToken(outcome);
    if (token === null) done();
    else releaseLock(scene, name, token, done);
  });
}

function releaseLock(scene: Scene, name: string, fencingToken: FencingToken, done: () => void): void {
  write(scene, { kind: "releaseLock", name, fencingToken }, (outcome) => {
    if (outcome.kind === "unknown" && !scene.life.isOver) leaveLine(scene, name, done);
    else done();
  });
}

/** Whether anything is left to do, as the cluster says. */
export function askWhetherAllIsDone(scene: Scene, answered: (isAllDone: boolean) => void): void {
  read(scene, { mode: "linearizable", what: "counts", key: "" }, null, (outcome) => {
    if (outcome.kind !== "ok") return answered(false);
    const { work, locksHeld } = JSON.parse(outcome.value!) as ReturnType<Reader["counts"]>;
    answered(work.PENDING + work.CLAIMED + work.RUNNING + locksHeld === 0);
  });
}

/** A crash, or an orderly goodbye. */
function leave(scene: Scene): void {
  if (scene.chance(0.7)) scene.life.end();
  else scene.life.write({ kind: "closeSession" }, () => scene.life.end());
}

export function replyOf(outcome: OperationOutcome): Reply | null {
  if (outcome.kind !== "ok" || outcome.answer?.kind !== "decided") return null;
  const { outcome: decided } = outcome.answer.decision;
  return decided.ok ? decided.value : null;
}

/** A write of the session; now and then its bytes are sent twice. */
export function write(scene: Scene, change: Change, done: (outcome: OperationOutcome) => void, waitMs = 0): void {
  const echoAfterMs = scene.chance(scene.options.echo) ? scene.options.thinkMs * scene.random() : null;
  scene.life.write(
    change,
    (outcome) => {
      if (outcome.kind === "ok" && outcome.index > scene.board.revision) scene.board.revision = outcome.index;
      done(outcome);
    },
    { waitMs, echoAfterMs },
  );
}

function read(
  { life }: Scene,
  request: Omit<ReadRequest, "kind" | "minRevision"> & { readonly minRevision?: Revision },
  node: NodeId | null,
  done: (outcome: OperationOutcome) => void,
): void {
  const { what, key } = request;
  life.read({ kind: "read", minRevision: 0 as Revision, ...request }, node, (reader) => queries[what](reader, key), done);
}

const queries: Readonly<Record<ReadRequest["what"], (reader: Reader, key: string) => unknown>> = {
  work: (reader, key) => reader.work(key as Parameters<Reader["work"]>[0]),
  job: (reader, key) => reader.job(key as Parameters<Reader["job"]>[0]),
  model: (reader, key) => reader.model(key),
  model_version: (reader, key) => reader.modelVersion(key.split("/")[0]!, Number(key.split("/")[1])),
  lock: (reader, key) => reader.lock(key),
  session: (reader, key) => reader.session(key as Parameters<Reader["session"]>[0]),
  node: (reader, key) => reader.listNodes().find(({ node }) => node.nodeId === key)?.node ?? null,
  partition: (reader) => reader.partition(),
  "list work": (reader, queue) => reader.listWork({ queue, limit: Number.POSITIVE_INFINITY }).map(({ workId }) => workId),
  counts: (reader) => reader.counts(),
};

function subject(scene: Scene): Pick<ReadRequest, "what" | "key"> {
  const dice = scene.random();
  const workId = scene.board.recentWork(scene.random);
  const jobId = scene.board.jobs.at(-1);
  if (dice < 0.3) return { what: "lock", key: scene.key("lock") };
  if (dice < 0.5) return { what: "model", key: scene.key("model") };
  if (dice < 0.55) return { what: "list work", key: scene.any(queueNames(scene.options.keys)) };
  if (dice < 0.65 && jobId !== undefined) return { what: "job", key: jobId };
  return workId === null ? { what: "lock", key: scene.key("lock") } : { what: "work", key: workId };
}

function newSpec({ notebook, options, any }: Scene): WorkSpec {
  const payload = notebook.uniqueValue().padEnd(options.payloadBytes, ".");
  const ttlAfterFinishedMs = options.keepFinishedMs;
  return completeWorkSpec({ ...patient, kind: "simulated", queue: any(queueNames(options.keys)), payload, ttlAfterFinishedMs });
}

function noteWork({ board }: Scene, ids: readonly (typeof board.work)[number][]): void {
  board.work.push(...ids);
  board.backlog += ids.length;
}

function grantedToken(outcome: OperationOutcome): FencingToken | null {
  const reply = replyOf(outcome);
  return reply?.kind === "lock" && reply.granted ? (reply.lock.holder?.fencingToken ?? null) : null;
}

function aliasRevision(outcome: OperationOutcome): Revision | null {
  if (outcome.kind !== "ok" || outcome.value === null) return null;
  const model = JSON.parse(outcome.value) as Model | null;
  return model?.aliases["canonical"]?.revision ?? (0 as Revision);
}

const MAX_BACKLOG = 100;
const LINE_PATIENCE_MS = 500;
