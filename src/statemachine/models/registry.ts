import { accepted, type Outcome, type Refusal, refused, type Revision } from "#kernel";
import { checkCount, checkName, checkNumberMap, checkText, checkTextMap, firstOf, invalid, refuse } from "../check.ts";
import type { Operation } from "../command.ts";
import { fixedLimits } from "../limits.ts";
import { checkGuards } from "../locks/guards.ts";
import type { Model, ModelAlias, ModelVersion } from "../objects.ts";
import type { Reply } from "../reply.ts";
import type { ModelRecord, SessionRecord, State } from "../state.ts";
import { claimedUnder } from "../work/lifecycle.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { readonly kind: K }>;

/** The next number of this model (made on the way if it is new), UPLOADING, bound to the session and to the claim if one is named. */
export function registerVersion(state: State, session: SessionRecord | null, register: Of<"registerVersion">): Outcome<Reply> {
  if (session === null) return refuse("INVALID_ARGUMENT", "an upload needs a session", "session_id");
  const problem = checkRegistration(register);
  if (problem !== null) return refused(problem);
  const unfit = checkClaim(state, register) ?? checkGuards(state, register.guards) ?? checkModelRoom(state, register);
  if (unfit !== null) return refused(unfit);
  const record = state.models.get(register.model) ?? newModel(state, register);
  const number = record.model.lastVersion + 1;
  putModel(state, record, {
    ...record.model,
    lastVersion: number,
    description: register.description === "" ? record.model.description : register.description,
  });
  const version: ModelVersion = {
    model: register.model,
    number,
    state: "UPLOADING",
    sourceUri: register.sourceUri,
    sha256: "",
    sizeBytes: 0,
    format: register.format,
    workId: register.workId,
    fencingToken: register.fencingToken,
    parentVersion: register.parentVersion,
    gitCommit: register.gitCommit,
    metrics: {},
    tags: register.tags,
    sessionId: session.session.sessionId,
    registeredAtMs: state.now,
    registeredWallMs: state.wall,
    committedAtMs: null,
    createRevision: state.revision,
    modRevision: state.revision,
    version: 1,
  };
  insertVersion(state, record, version);
  state.emit("model_version", versionKey(version), { kind: "model_version", value: version });
  return accepted({ kind: "version", version });
}

/**
 * UPLOADING → READY, by the session that registered it and under the claim that it named. Committed again with the same
 * digest it is a no-op, from anywhere: a READY version never changes.
 */
export function commitVersion(state: State, session: SessionRecord | null, commit: Of<"commitVersion">): Outcome<Reply> {
  const problem = firstOf(
    /^[0-9a-f]{64}$/.test(commit.sha256) ? null : invalid("sha256", "must be 64 lower-case hex digits"),
    checkCount("size_bytes", commit.sizeBytes, 0, Number.MAX_SAFE_INTEGER),
    checkNumberMap("metrics", commit.metrics),
  );
  if (problem !== null) return refused(problem);
  const record = state.models.get(commit.model);
  const version = record?.versions[commit.number - 1];
  if (record === undefined || version === undefined) return unknownVersion(commit.model, commit.number);
  if (version.state === "READY") {
    if (version.sha256 === commit.sha256) return accepted({ kind: "version", version });
    return refuse("ALREADY_EXISTS", `${versionKey(version)} is READY with another sha256`, "sha256");
  }
  if (version.state !== "UPLOADING") return refuse("BAD_STATE", `${versionKey(version)} is ${version.state}`);
  if (version.sessionId === null || version.sessionId !== session?.session.sessionId) {
    return refuse("FENCED", `${versionKey(version)} is being uploaded by another session`);
  }
  const unfit = checkClaim(state, version) ?? checkGuards(state, commit.guards);
  if (unfit !== null) return refused(unfit);
  const ready = putVersion(state, record, {
    ...version,
    state: "READY",
    sha256: commit.sha256,
    sizeBytes: commit.sizeBytes,
    metrics: commit.metrics,
    committedAtMs: state.now,
  });
  return accepted({ kind: "version", version: ready });
}

/** Compare-and-set on the alias's own revision. When `canonical` moves, `previous` follows to where it stood. */
export function setAlias(state: State, set: Of<"setAlias">): Outcome<Reply> {
  const problem = firstOf(
    checkName("alias", set.alias),
    set.alias === "previous" ? invalid("alias", "previous is kept by the registry itself") : null,
    checkText("reason", set.reason, fixedLimits.textBytes),
    checkText("by", set.by, fixedLimits.nameBytes),
  );
  if (problem !== null) return refused(problem);
  const record = state.models.get(set.model);
  if (record === undefined) return refuse("NOT_FOUND", `no model ${set.model}`, "model");
  const version = record.versions[set.version - 1];
  if (version === undefined) return unknownVersion(set.model, set.version);
  const fenced = checkGuards(state, set.guards);
  if (fenced !== null) return refused(fenced);
  const present = aliasOf(record.model, set.alias);
  const revision = present?.revision ?? 0;
  if (set.expectedAliasRevision !== null && set.expectedAliasRevision !== revision) {
    const message = `alias ${set.alias} of ${set.model} is at revision ${revision}, not ${set.expectedAliasRevision}`;
    return refuse("CONFLICT", message, "expected_alias_revision");
  }
  if (version.state !== "READY") return refuse("BAD_STATE", `${versionKey(version)} is ${version.state}, not READY`, "version");
  const moved = movedAlias(state, set.alias, set.version, set.reason, set.by);
  const previous =
    set.alias === "canonical" && present !== null && present.version !== set.version
      ? { previous: movedAlias(state, "previous", present.version, `canonical moved to ${set.version}`, set.by) }
      : {};
  putModel(state, record, {
    ...record.model,
    aliases: { ...record.model.aliases, ...previous, [set.alias]: moved },
    history: [...record.model.history.slice(1 - fixedLimits.aliasHistoryKept), moved],
  });
  return accepted({ kind: "model", model: record.model });
}

/** The session that uploaded is gone: what it did not commit never becomes READY. */
export function abortUploads(state: State, session: SessionRecord): void {
  const uploads = [...session.uploads].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [, { record, number }] of uploads) putVersion(state, record, { ...record.versions[number - 1]!, state: "ABORTED" });
}

/** Adds a model from a snapshot, or a new one (version 0, which its first change makes 1). */
export function insertModel(state: State, model: Model): ModelRecord {
  const record: ModelRecord = { model, versions: [] };
  state.models.set(model.name, record);
  if (model.version > 0) state.digest.add({ kind: "model", value: model });
  return record;
}

/** Adds the next version of a model, new or from a snapshot. */
export function insertVersion(state: State, record: ModelRecord, version: ModelVersion): void {
  record.versions.push(version);
  state.digest.add({ kind: "model_version", value: version });
  trackUpload(state, record, version);
}

export const versionKey = (version: ModelVersion): string => `${version.model}/${version.number}`;

function newModel(state: State, register: Of<"registerVersion">): ModelRecord {
  return insertModel(state, {
    name: register.model,
    configKey: register.configKey,
    description: register.description,
    lastVersion: 0,
    aliases: {},
    history: [],
    createRevision: state.revision,
    modRevision: state.revision,
    version: 0,
  });
}

function putModel(state: State, record: ModelRecord, next: Model): void {
  const previous = record.model;
  if (previous.version > 0) state.digest.remove({ kind: "model", value: previous });
  record.model = { ...next, modRevision: state.revision, version: previous.version + 1 };
  state.digest.add({ kind: "model", value: record.model });
  state.emit("model", record.model.name, { kind: "model", value: record.model });
}

function putVersion(state: State, record: ModelRecord, next: ModelVersion): ModelVersion {
  const previous = record.versions[next.number - 1]!;
  const version: ModelVersion = { ...next, modRevision: state.revision, version: previous.version + 1 };
  state.digest.remove({ kind: "model_version", value: previous });
  state.digest.add({ kind: "model_version", value: version });
  record.versions[next.number - 1] = version;
  trackUpload(state, record, version);
  state.emit("model_version", versionKey(version), { kind: "model_version", value: version });
  return version;
}

function trackUpload(state: State, record: ModelRecord, version: ModelVersion): void {
  if (version.sessionId === null) return;
  const uploads = state.sessions.get(version.sessionId)?.uploads;
  if (version.state === "UPLOADING") uploads?.set(versionKey(version), { record, number: version.number });
  else uploads?.delete(versionKey(version));
}

function movedAlias(state: State, alias: string, version: number, reason: string, setBy: string): ModelAlias {
  return { alias, version, revision: state.revision, reason, setBy, setAtMs: state.now, setWallMs: state.wall };
}

const aliasOf = (model: Model, alias: string): ModelAlias | null =>
  Object.hasOwn(model.aliases, alias) ? model.aliases[alias]! : null;

function checkRegistration(register: Of<"registerVersion">): Refusal | null {
  return firstOf(
    checkName("model", register.model),
    checkText("config_key", register.configKey, fixedLimits.nameBytes),
    checkText("description", register.description, fixedLimits.textBytes),
    checkText("source_uri", register.sourceUri, fixedLimits.textBytes),
    checkText("format", register.format, fixedLimits.nameBytes),
    checkText("git_commit", register.gitCommit, fixedLimits.nameBytes),
    checkCount("parent_version", register.parentVersion, 0, Number.MAX_SAFE_INTEGER),
    checkTextMap("tags", register.tags),
    (register.workId === null) === (register.fencingToken === null)
      ? null
      : invalid("fencing_token", "and work_id must be given together"),
  );
}

/**
 * The claim that a version was made under must still be the present one. Its session is the worker node's; the program that
 * registers has one of its own, so the token alone is what counts.
 */
function checkClaim(
  state: State,
  made: { readonly workId: ModelVersion["workId"]; readonly fencingToken: Revision | null },
): Refusal | null {
  if (made.workId === null || made.fencingToken === null) return null;
  const claimed = claimedUnder(state, made.workId, made.fencingToken);
  return claimed.ok ? null : claimed.refusal;
}

function checkModelRoom(state: State, register: Of<"registerVersion">): Refusal | null {
  const record = state.models.get(register.model);
  const refuseWith = (outcome: Outcome<never>): Refusal | null => (outcome.ok ? null : outcome.refusal);
  if (record === undefined) {
    if (register.parentVersion !== 0) return refuseWith(unknownVersion(register.model, register.parentVersion));
    if (state.models.size < state.limits.maxModels) return null;
    return refuseWith(refuse("QUOTA_EXCEEDED", `there are ${state.limits.maxModels} models already`));
  }
  const { model } = record;
  if (register.configKey !== "" && register.configKey !== model.configKey) {
    const message = `model ${model.name} has config_key ${model.configKey}, not ${register.configKey}`;
    return refuseWith(refuse("ALREADY_EXISTS", message, "config_key"));
  }
  if (register.parentVersion > model.lastVersion) return refuseWith(unknownVersion(model.name, register.parentVersion));
  if (model.lastVersion < state.limits.maxVersionsPerModel) return null;
  return refuseWith(refuse("QUOTA_EXCEEDED", `model ${model.name} has ${model.lastVersion} versions already`));
}

const unknownVersion = (model: string, number: number): Outcome<never> => refuse("NOT_FOUND", `no version ${model}/${number}`);
