import { type Outcome, type Refusal, accepted, refusal, refused, surfaces } from "#kernel";
import type { SubmitRequest } from "#replica";
import {
  type ResponseBody,
  WireError,
  admitCommand,
  decodeRequest,
  encodeMessage,
  refusalFromProto,
  watchBatchToProto,
} from "#codec";
import { ClusterService } from "#gen/ringraft/v1/cluster.js";
import { Command as CommandMessage } from "#gen/ringraft/v1/command.js";
import { JobService } from "#gen/ringraft/v1/job.js";
import { LockService } from "#gen/ringraft/v1/lock.js";
import { ModelService } from "#gen/ringraft/v1/model.js";
import { NodeService } from "#gen/ringraft/v1/node.js";
import { Refusal as RefusalMessage } from "#gen/ringraft/v1/refusal.js";
import { SessionService } from "#gen/ringraft/v1/session.js";
import { type WatchBatch, type WatchRequest, WatchService } from "#gen/ringraft/v1/watch.js";
import { WorkService } from "#gen/ringraft/v1/work.js";
import { Metadata, type ServerErrorResponse, type Server, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js";
import type { sendUnaryData } from "@grpc/grpc-js";
import type { MethodInfo, ServiceType } from "@protobuf-ts/runtime-rpc";
import type { GrpcApiDeps, GrpcApiOptions } from "./deps.ts";
import { type Answered, type QuestionBody, type Requests, watchSpecOf } from "./requests.ts";
import { WatchFeed } from "./watch-feed.ts";

type OperationName = Exclude<CommandMessage["operation"]["oneofKind"], undefined>;
type QuestionName = QuestionBody["oneofKind"];
type Form =
  | { readonly kind: "write"; readonly operation: OperationName }
  | { readonly kind: "question"; readonly question: QuestionName };

const write = (operation: OperationName): Form => ({ kind: "write", operation });
const ask = (question: QuestionName): Form => ({ kind: "question", question });

/** Every unary method as the stream request that it stands for. A test holds the table against the services. */
const forms: Readonly<Record<string, Readonly<Record<string, Form>>>> = {
  [WorkService.typeName]: {
    Enqueue: write("enqueueWork"),
    Claim: write("claimWork"),
    Start: write("startWork"),
    Progress: write("progressWork"),
    Complete: write("completeWork"),
    Release: write("releaseWork"),
    Cancel: write("cancelWork"),
    Requeue: write("requeueWork"),
    Get: ask("getWork"),
    List: ask("listWork"),
  },
  [JobService.typeName]: {
    Submit: write("submitJob"),
    Cancel: write("cancelJob"),
    Get: ask("getJob"),
    List: ask("listJobs"),
  },
  [ModelService.typeName]: {
    RegisterVersion: write("registerVersion"),
    CommitVersion: write("commitVersion"),
    SetAlias: write("setAlias"),
    Get: ask("getModel"),
    List: ask("listModels"),
    GetVersion: ask("getVersion"),
    ListVersions: ask("listVersions"),
  },
  [LockService.typeName]: {
    Acquire: write("acquireLock"),
    Release: write("releaseLock"),
    ForceRelease: write("forceReleaseLock"),
    Check: ask("checkLock"),
    Get: ask("getLock"),
    List: ask("listLocks"),
  },
  [SessionService.typeName]: {
    Open: write("openSession"),
    Renew: ask("renewSession"),
    Close: write("closeSession"),
    List: ask("listSessions"),
  },
  [ClusterService.typeName]: {
    Status: ask("status"),
    Members: ask("members"),
    MemberAdd: ask("memberAdd"),
    MemberRemove: ask("memberRemove"),
    MemberPromote: ask("memberPromote"),
    MemberDemote: ask("memberDemote"),
    MemberReplace: ask("memberReplace"),
    TransferLeadership: ask("transferLeadership"),
    TriggerElection: ask("triggerElection"),
    RaiseFeatureLevel: write("raiseFeatureLevel"),
    SaveSnapshot: ask("saveSnapshot"),
    ReadSnapshot: ask("readSnapshot"),
  },
  [NodeService.typeName]: {
    List: ask("listNodes"),
    SetScheduling: write("setNodeScheduling"),
    Forget: write("forgetNode"),
    Readmit: write("readmitNode"),
  },
};

export const unaryServices = [
  WorkService,
  JobService,
  ModelService,
  LockService,
  SessionService,
  ClusterService,
  NodeService,
] as const;

/** The unary forms of the stream's requests and the watch, for languages that prefer them. */
export class UnaryCalls {
  readonly #options: GrpcApiOptions;
  readonly #deps: GrpcApiDeps;
  readonly #requests: Requests;
  readonly #principalOf: (call: ServerUnaryCall<unknown, unknown>) => string;

  constructor(
    options: GrpcApiOptions,
    deps: GrpcApiDeps,
    requests: Requests,
    principalOf: (call: ServerUnaryCall<unknown, unknown>) => string,
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#requests = requests;
    this.#principalOf = principalOf;
  }

  register(server: Server): void {
    for (const service of unaryServices) {
      for (const method of service.methods) {
        const form = forms[service.typeName]![method.name]!;
        server.register<Outcome<object>, object>(
          pathOf(service, method),
          (call: ServerUnaryCall<Outcome<object>, object>, callback: sendUnaryData<object>) => this.#serve(form, call, callback),
          (message) => Buffer.from(encodeMessage(method.O, message)),
          (bytes) => decodeTotally(method, bytes),
          "unary",
        );
      }
    }
    const [watch] = WatchService.methods;
    server.register<Outcome<object>, WatchBatch>(
      pathOf(WatchService, watch!),
      (call: ServerWritableStream<Outcome<object>, WatchBatch>) => this.#watch(call),
      (message) => Buffer.from(encodeMessage(watch!.O, message)),
      (bytes) => decodeTotally(watch!, bytes),
      "serverStream",
    );
  }

  #serve(form: Form, call: ServerUnaryCall<Outcome<object>, object>, callback: sendUnaryData<object>): void {
    const answer = (answered: Answered): void => this.#answer(answered, callback);
    if (!call.request.ok) {
      answer(this.#requests.refused(call.request.refusal));
      return;
    }
    const message = call.request.value;
    const timeoutMs = remainingMs(call);
    if (form.kind === "question") {
      const body = { oneofKind: form.question, [form.question]: message } as unknown as QuestionBody;
      void this.#requests.ask(body, timeoutMs).then(answer);
      return;
    }
    const principal = this.#principalOf(call);
    const command = commandOf(form.operation, message, call.metadata);
    const admitted = command.ok ? admitCommand(command.value, principal) : command;
    if (!admitted.ok) {
      answer(this.#requests.refused(admitted.refusal));
      return;
    }
    const submitted: SubmitRequest = { command: admitted.value, principal, timeoutMs: timeoutMs === 0 ? null : timeoutMs };
    call.on("cancelled", () => this.#deps.replica.abandon(submitted));
    this.#deps.replica.submit(submitted, (decided) => answer(this.#requests.answered(decided)));
  }

  #answer({ revision, body }: Answered, callback: sendUnaryData<object>): void {
    if (body.oneofKind === "refusal") callback(statusOf(body.refusal));
    else callback(null, { ...bodyMessage(body), header: this.#requests.header(revision) });
  }

  #watch(call: ServerWritableStream<Outcome<object>, WatchBatch>): void {
    const spec = call.request.ok ? watchSpecOf(call.request.value as WatchRequest) : call.request;
    if (!spec.ok) {
      call.emit("error", this.#statusOfRefusal(spec.refusal));
      return;
    }
    const feed = new WatchFeed(this.#options.limits.maxBufferedEvents, {
      batch: (batch) => {
        if (call.write(watchBatchToProto(batch))) feed.sent();
      },
      end: (refused) => call.emit("error", this.#statusOfRefusal(refused)),
    });
    call.on("drain", () => feed.sent());
    call.on("cancelled", () => feed.cancel());
    call.on("close", () => feed.cancel());
    feed.start(this.#deps.replica, spec.value);
  }

  #statusOfRefusal(refusal: Refusal): Partial<ServerErrorResponse> {
    const { body } = this.#requests.refused(refusal);
    return body.oneofKind === "refusal" ? statusOf(body.refusal) : {};
  }
}

/** Name of the trailer that carries the whole refusal. */
export const REFUSAL_TRAILER = "ringraft-refusal-bin";

function statusOf(message: RefusalMessage): Partial<ServerErrorResponse> {
  const trailers = new Metadata();
  trailers.set(REFUSAL_TRAILER, Buffer.from(encodeMessage(RefusalMessage, message)));
  const { reason } = refusalFromProto(message);
  return { code: surfaces[reason].grpc, details: `${reason}: ${message.message}`, metadata: trailers };
}

function pathOf(service: ServiceType, method: MethodInfo): string {
  return `/${service.typeName}/${method.name}`;
}

/** An error thrown while gRPC deserializes would reach the caller as INTERNAL. */
function decodeTotally(method: MethodInfo, bytes: Uint8Array): Outcome<object> {
  try {
    return accepted(decodeRequest(method.I, bytes));
  } catch (error) {
    const why = error instanceof WireError ? error.message : "it is damaged";
    return refused(refusal("INVALID_ARGUMENT", `the request cannot be read: ${why}`));
  }
}

function commandOf(operation: OperationName, message: object, metadata: Metadata): Outcome<Uint8Array> {
  const sequence = textOf(metadata, "ringraft-sequence");
  if (!/^\d{0,16}$/.test(sequence) || !Number.isSafeInteger(Number(sequence))) {
    return refused(refusal("INVALID_ARGUMENT", "ringraft-sequence must be an integer ≥ 1", { field: "ringraft-sequence" }));
  }
  return accepted(
    encodeMessage(CommandMessage, {
      sessionId: textOf(metadata, "ringraft-session"),
      sequence: Number(sequence),
      firstUnackedSequence: 0,
      operation: { oneofKind: operation, [operation]: message } as unknown as CommandMessage["operation"],
    }),
  );
}

function textOf(metadata: Metadata, key: string): string {
  const [value] = metadata.get(key);
  return typeof value === "string" ? value : "";
}

/** 0 = the caller set no deadline. gRPC gives deadlines in wall time. */
function remainingMs(call: ServerUnaryCall<unknown, unknown>): number {
  const deadline = Number(call.getDeadline());
  return Number.isFinite(deadline) ? Math.max(1, Math.ceil(deadline - Date.now())) : 0;
}

/** The message inside the `oneof`: every one of them is the response of the unary call of the same kind. */
function bodyMessage(body: ResponseBody): object {
  if (body.oneofKind === undefined) return {};
  return (body as unknown as Readonly<Record<string, object>>)[body.oneofKind]!;
}
