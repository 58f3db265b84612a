import { LogIndex, type Outcome, type Refusal, type Revision, SessionId, accepted, refusal, refused } from "#kernel";
import type { Answer, Freshness, WatchSpec } from "#replica";
import type { ObjectKind, Reader } from "#statemachine";
import { type ResponseBody, objectKindOf, refusalToProto, replyToProto, sessionToProto, workBriefToProto } from "#codec";
import type { Member, MembersResponse, ReadSnapshotRequest } from "#gen/ringraft/v1/cluster.js";
import type { Header } from "#gen/ringraft/v1/refusal.js";
import type { RenewSessionRequest } from "#gen/ringraft/v1/session.js";
import type { Request } from "#gen/ringraft/v1/stream.js";
import type { WatchRequest } from "#gen/ringraft/v1/watch.js";
import { administer } from "./administration.ts";
import type { GrpcApiDeps, GrpcApiOptions, MemberInfo } from "./deps.ts";
import { freshnessOf, readOf } from "./reads.ts";

/** An answer before it has an id: `revision` is the decision's (writes) or the applied index that was read (reads). */
export interface Answered {
  readonly revision: number;
  readonly body: ResponseBody;
}

/** Everything that is neither a command nor about the stream itself. */
export type QuestionBody = Exclude<Request["body"], { oneofKind: "command" | "cancelId" | "watch" | undefined }>;

/** What stream and unary calls share: one question in, one answer out. */
export class Requests {
  readonly #options: GrpcApiOptions;
  readonly #deps: GrpcApiDeps;

  constructor(options: GrpcApiOptions, deps: GrpcApiDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Never rejects. `timeoutMs` 0 = no limit of the caller's. */
  async ask(body: QuestionBody, timeoutMs: number): Promise<Answered> {
    try {
      return await (timeoutMs === 0 ? this.#answer(body) : this.#within(timeoutMs, body, this.#answer(body)));
    } catch (error) {
      this.#deps.log.error("a read failed", { request: body.oneofKind, error: String(error) });
      return this.refused(refusal("INTERNAL", "the read failed; see the node's log"));
    }
  }

  /** `brief`: without the work item that the command changed (stream.proto). */
  answered(answer: Answer, brief = false): Answered {
    if (answer.kind === "refused") return this.refused(answer.refusal);
    const { outcome, revision } = answer.decision;
    if (!outcome.ok) return this.refused(outcome.refusal, revision);
    const { value } = outcome;
    const body = brief && value.kind === "work" ? workBriefToProto(value.item, value.deduplicated) : replyToProto(value);
    return { revision, body };
  }

  refused(refusal: Refusal, revision = 0): Answered {
    return { revision, body: { oneofKind: "refusal", refusal: refusalToProto(refusal, this.#addressOf(refusal)) } };
  }

  header(revision: number): Header {
    const { term, leaderId, clusterTimeMs } = this.#deps.statusOf();
    const { clusterId, memberId } = this.#options;
    return { clusterId, memberId, leaderId: leaderId ?? "", term, revision, clusterTimeMs };
  }

  async #answer(body: QuestionBody): Promise<Answered> {
    switch (body.oneofKind) {
      case "renewSession":
        return this.#renew(body.renewSession);
      case "members": {
        const freshness = freshnessOf(body.members.read);
        if (!freshness.ok) return this.refused(freshness.refusal);
        return this.#read(freshness.value, () => accepted({ oneofKind: "members", members: this.#members() }));
      }
      case "status":
        return this.#status();
      case "memberAdd":
      case "memberRemove":
      case "memberPromote":
      case "memberDemote":
      case "memberReplace":
      case "transferLeadership": {
        const done = await administer(this.#deps, body);
        return done.ok ? { revision: this.#deps.replica.appliedIndex, body: done.value } : this.refused(done.refusal);
      }
      case "triggerElection": {
        const stood = this.#deps.replica.campaign();
        return stood.ok ? this.#status() : this.refused(stood.refusal);
      }
      case "saveSnapshot": {
        const saved = await this.#deps.replica.saveSnapshot();
        if (!saved.ok) return this.refused(saved.refusal);
        return { revision: saved.value, body: { oneofKind: "savedSnapshot", savedSnapshot: { index: saved.value } } };
      }
      case "readSnapshot":
        return await this.#readSnapshot(body.readSnapshot);
      default: {
        const read = readOf(body);
        return read.ok ? this.#read(read.value.freshness, read.value.query) : this.refused(read.refusal);
      }
    }
  }

  async #read(freshness: Freshness, query: (reader: Reader) => Outcome<ResponseBody>): Promise<Answered> {
    const outcome = await this.#deps.replica.read(freshness, query);
    if (!outcome.ok) return this.refused(outcome.refusal);
    const { value, revision } = outcome.value;
    return value.ok ? { revision, body: value.value } : this.refused(value.refusal, revision);
  }

  async #renew(request: RenewSessionRequest): Promise<Answered> {
    if (request.sessionId === "") return this.refused(required("session_id"));
    const session = SessionId(request.sessionId);
    const { promise, resolve } = Promise.withResolvers<Outcome<{ readonly revision: Revision }>>();
    this.#deps.replica.renewSession(session, resolve);
    const renewed = await promise;
    if (!renewed.ok) return this.refused(renewed.refusal);
    return this.#read({ mode: "stale" }, (reader) => {
      const found = reader.session(session);
      if (found === null) return refused(refusal("SESSION_EXPIRED", `session ${session} has ended`));
      return accepted({ oneofKind: "session", session: { session: sessionToProto(found) } });
    });
  }

  async #readSnapshot({ index, offset }: ReadSnapshotRequest): Promise<Answered> {
    try {
      const { bytes, totalBytes } = await this.#deps.readSnapshot(LogIndex(index), offset);
      return { revision: index, body: { oneofKind: "snapshotPiece", snapshotPiece: { data: bytes, totalBytes } } };
    } catch {
      return this.refused(refusal("NOT_FOUND", `there is no snapshot at index ${index} here: save one and read it at once`));
    }
  }

  #status(): Answered {
    const { role, commitIndex, appliedIndex, electionCount } = this.#deps.statusOf();
    const status = { header: this.header(appliedIndex), role, commitIndex, appliedIndex, electionCount };
    return { revision: appliedIndex, body: { oneofKind: "status", status } };
  }

  #members(): MembersResponse {
    const { members, configurationIndex, configurationCommitted } = this.#deps.members();
    return { members: members.map(memberToProto), configurationIndex, configurationCommitted };
  }

  #addressOf({ reason, leader }: Refusal): string {
    if (reason !== "NOT_LEADER" || leader === null) return "";
    return this.#deps.members().members.find((member) => member.nodeId === leader)?.clientAddress ?? "";
  }

  async #within(timeoutMs: number, { oneofKind }: QuestionBody, answer: Promise<Answered>): Promise<Answered> {
    const { promise, resolve } = Promise.withResolvers<Answered>();
    // Nobody takes a change back because its caller stopped waiting.
    const late = changes.has(oneofKind) ? "UNKNOWN_OUTCOME" : "TIMEOUT";
    const timer = this.#deps.timers.after(timeoutMs, () =>
      resolve(this.refused(refusal(late, `no answer within ${timeoutMs} ms`))),
    );
    try {
      return await Promise.race([answer, promise]);
    } finally {
      timer.cancel();
    }
  }
}

const changes: ReadonlySet<QuestionBody["oneofKind"]> = new Set([
  "memberAdd",
  "memberRemove",
  "memberPromote",
  "memberDemote",
  "memberReplace",
  "transferLeadership",
]);

function memberToProto({ progress, ...member }: MemberInfo): Member {
  if (progress === null) return { ...member, progress: "" };
  const { matchIndex, lagEntries, state, recentlyActive } = progress;
  return { ...member, matchIndex, lagEntries, progress: state, recentlyActive };
}

/** Refuses kinds that do not exist. */
export function watchSpecOf(request: WatchRequest): Outcome<WatchSpec> {
  const kinds: ObjectKind[] = [];
  for (const name of request.kinds) {
    const kind = objectKindOf(name);
    if (kind === null) {
      return refused(refusal("INVALID_ARGUMENT", `kinds: there is no object kind "${name}"`, { field: "kinds" }));
    }
    kinds.push(kind);
  }
  const { fromRevision, snapshot, keyPrefix } = request;
  return accepted({ fromRevision: fromRevision as Revision, snapshot, kinds, keyPrefix });
}

export function required(field: string): Refusal {
  return refusal("INVALID_ARGUMENT", `${field} is required`, { field });
}
