import { invariant } from "#kernel";
import { membersOf, sessionListOf, statusOf } from "./answers.ts";
import { clusterApi } from "./cluster.ts";
import { Navigator } from "./navigator.ts";
import { nodeApi } from "./nodes.ts";
import { jobReads, lockApi, modelReads, workReads } from "./reads.ts";
import { Requester, asksLeader, freshness } from "./requester.ts";
import { type LiveSession, openSession } from "./session.ts";
import type { Client, ClientOptions } from "./types.ts";
import { watch } from "./watch.ts";
import { jobWrites, workWrites } from "./writes.ts";

/**
 * A client of one cluster. Returns at once: the first call connects. Close it, or the open connection keeps the process
 * alive.
 */
export function connect(options: ClientOptions): Client {
  invariant(options.endpoints.length > 0, "connect needs at least one endpoint, got 0");
  const navigator = new Navigator(options);
  const requester = new Requester(navigator.dispatcher, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const sessions = new Set<LiveSession>();
  return {
    work: { ...workReads(requester), ...workWrites(requester) },
    jobs: { ...jobReads(requester), ...jobWrites(requester) },
    models: modelReads(requester),
    locks: lockApi(requester),
    nodes: nodeApi(requester),
    cluster: clusterApi(requester),
    openSession: async (sessionOptions) => {
      const session = await openSession(requester, sessionOptions);
      sessions.add(session);
      session.ended.addEventListener("abort", () => sessions.delete(session));
      return session;
    },
    sessions: (readOptions) =>
      requester.read(
        { oneofKind: "listSessions", listSessions: { read: freshness(readOptions) } },
        sessionListOf,
        readOptions,
        asksLeader(readOptions),
      ),
    watch: (watchOptions) => watch(requester, watchOptions),
    members: (callOptions) =>
      requester.read({ oneofKind: "members", members: { read: freshness({ mode: "stale" }) } }, membersOf, callOptions, false),
    status: (callOptions) => requester.read({ oneofKind: "status", status: {} }, statusOf, callOptions, false),
    close: async () => {
      for (const session of sessions) session.abandon();
      navigator.close();
    },
  };
}

const DEFAULT_TIMEOUT_MS = 10_000;
