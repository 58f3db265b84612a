import {
  type ClusterTimeMs,
  type LogIndex,
  NodeId,
  type Outcome,
  type Revision,
  type SessionId,
  type Term,
  accepted,
  refusal,
  refused,
} from "#kernel";
import type {
  Administration,
  Answer,
  Configuration,
  Freshness,
  MembershipChange,
  Replica,
  SubmitRequest,
  WatchSink,
  WatchSpec,
} from "#replica";
import type { Reader, Reply } from "#statemachine";

const notLeading = refusal("NOT_LEADER", "n2 leads", { leader: NodeId("n2") });

/** A replica that does what a test tells it: it keeps what it is asked, and answers when the test says so. */
export class FakeReplica implements Replica, Administration {
  readonly submitted: { readonly request: SubmitRequest; readonly respond: (answer: Answer) => void }[] = [];
  readonly abandoned: SubmitRequest[] = [];
  readonly watches: { readonly spec: WatchSpec; readonly sink: WatchSink; cancelled: boolean }[] = [];
  readonly reads: Freshness[] = [];
  readonly appliedIndex = 41 as LogIndex;
  /** Answers a command at once; null leaves it parked. */
  answerNow: ((request: SubmitRequest) => Answer) | null = null;
  renewed: Outcome<{ readonly revision: Revision; readonly ttlMs: number }> = accepted({
    revision: 9 as Revision,
    ttlMs: 15_000,
  });
  readAnswers = true;
  reader: Partial<Reader> = {};
  /** Membership changes and transfers in the order in which they came. */
  readonly changes: (MembershipChange | NodeId | null)[] = [];
  reconfigured: Outcome<Configuration> = refused(notLeading);
  leads = false;
  #arrived: (() => void) | null = null;

  submit(request: SubmitRequest, respond: (answer: Answer) => void): void {
    this.submitted.push({ request, respond });
    if (this.answerNow !== null) respond(this.answerNow(request));
    this.#arrived?.();
  }
  abandon(request: SubmitRequest): void {
    this.abandoned.push(request);
    this.#arrived?.();
  }
  renewSession(_session: SessionId, respond: (answer: typeof this.renewed) => void): void {
    respond(this.renewed);
  }
  read(freshness: Freshness, query: (reader: Reader) => unknown): Promise<never> {
    this.reads.push(freshness);
    const answer = this.readAnswers
      ? Promise.resolve(accepted({ value: query(this.reader as Reader), revision: this.appliedIndex }))
      : Promise.withResolvers().promise;
    return answer as never;
  }
  watch(spec: WatchSpec, sink: WatchSink): () => void {
    const watch = { spec, sink, cancelled: false };
    this.watches.push(watch);
    this.#arrived?.();
    return () => {
      watch.cancelled = true;
      this.#arrived?.();
    };
  }
  leader() {
    return { id: NodeId("n2"), term: 3 as Term, isSelf: this.leads };
  }
  reconfigure(change: MembershipChange): Promise<Outcome<Configuration>> {
    this.changes.push(change);
    return Promise.resolve(this.reconfigured);
  }
  transferLeadership(to: NodeId | null): Promise<Outcome<NodeId>> {
    this.changes.push(to);
    return Promise.resolve(this.leads ? accepted(to ?? NodeId("n3")) : refused(notLeading));
  }
  saveSnapshot(): Promise<Outcome<LogIndex>> {
    return Promise.resolve(accepted(this.appliedIndex));
  }
  campaign(): Outcome<null> {
    return refused(refusal("BAD_STATE", "n2 leads"));
  }

  /** Waits for the next thing that reaches the replica until `holds`. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      await promise;
    }
  }
}

export function decided(reply: Reply, revision = 40): Answer {
  return {
    kind: "decided",
    decision: { outcome: accepted(reply), revision: revision as Revision, clusterTimeMs: 1_000 as ClusterTimeMs },
  };
}

export function notLeader(): Answer {
  return { kind: "refused", refusal: notLeading };
}

export function fenced(): Answer {
  return {
    kind: "decided",
    decision: {
      outcome: refused(refusal("FENCED", "token 7 is not the claim's", { field: "fencing_token" })),
      revision: 40 as Revision,
      clusterTimeMs: 1_000 as ClusterTimeMs,
    },
  };
}
