import type { Lock, Model, WorkItem } from "#statemachine";
import type { Operation } from "../../history.ts";
import { changeOf, decisionOf, replyOf } from "../answers.ts";

/**
 * What an operation means to one object, told without the state machine's code. States are strings: `newest token:holder's
 * token` of a lock or an item, the revision of an alias. Time may take a claim or a dead session's lock away at any moment.
 */
export interface Meaning {
  /** `lock x`, `work w-1`, `alias m`. */
  readonly object: string;
  readonly apply: (state: string) => string | null;
}

/** What the history as a whole leaves open. */
export interface Doubts {
  /** The session that got this token may have lost it by time alone. */
  readonly mayLapse: (token: string) => boolean;
  /** The alias may have been set by somebody who never heard of it; then nobody was told its revision. */
  readonly maybeSet: (model: string) => boolean;
  readonly wasTold: (revision: string) => boolean;
}

export function meaningsOf(operation: Operation, doubts: Doubts): readonly Meaning[] {
  const { mayLapse } = doubts;
  const { request, outcome } = operation;
  if (request.kind === "read") {
    return request.mode === "linearizable" && outcome?.kind === "ok"
      ? readMeanings(request.what, request.key, outcome.value, doubts)
      : [];
  }
  switch (request.command.operation.kind) {
    case "acquireLock":
    case "releaseLock":
      return lockMeanings(operation, mayLapse);
    case "setAlias":
      return aliasMeanings(operation, doubts);
    case "claimWork": {
      const reply = replyOf(operation);
      if (reply?.kind !== "claimed") return [];
      return reply.items.map((item) => ({
        object: `work ${item.workId}`,
        apply: take(`${item.claim!.fencingToken}`, () => true),
      }));
    }
    case "startWork":
    case "progressWork":
    case "completeWork":
    case "releaseWork":
      return claimUseMeanings(operation);
    default:
      return [];
  }
}

export const initialStates = { lock: "0:0", work: "0:0", alias: "0" } as const;

function lockMeanings(operation: Operation, mayLapse: (token: string) => boolean): readonly Meaning[] {
  const acquire = changeOf(operation, "acquireLock");
  const reply = replyOf(operation);
  if (acquire !== null) {
    if (reply?.kind !== "lock" || !reply.granted) return [];
    return [{ object: `lock ${acquire.name}`, apply: take(`${reply.lock.holder!.fencingToken}`, mayLapse) }];
  }
  const release = changeOf(operation, "releaseLock")!;
  return useMeaning(`lock ${release.name}`, `${release.fencingToken}`, operation, { ends: true, mayLapse });
}

function claimUseMeanings(operation: Operation): readonly Meaning[] {
  const change =
    changeOf(operation, "startWork") ??
    changeOf(operation, "progressWork") ??
    changeOf(operation, "completeWork") ??
    changeOf(operation, "releaseWork")!;
  const reply = replyOf(operation);
  const ends = change.kind === "completeWork" || change.kind === "releaseWork";
  const hasSucceeded = change.kind === "completeWork" && reply?.kind === "work" && reply.item.state === "SUCCEEDED";
  const meanings = useMeaning(`work ${change.workId}`, `${change.fencingToken}`, operation, { ends, mayLapse: () => true });
  if (!hasSucceeded) return meanings;
  return meanings.map(({ object, apply }) => ({ object, apply: (state) => (apply(state) === null ? null : SUCCEEDED) }));
}

/** Done: the token holds, and maybe holds no more. Fenced: it does not hold, and never will again. */
function useMeaning(
  object: string,
  token: string,
  operation: Operation,
  { ends, mayLapse }: { readonly ends: boolean; readonly mayLapse: (token: string) => boolean },
): readonly Meaning[] {
  const decision = decisionOf(operation);
  if (decision === null) return [];
  if (decision.outcome.ok) {
    const apply = (state: string): string | null => {
      const [newest, holder] = state.split(":");
      return holder !== token ? null : ends ? `${newest}:0` : state;
    };
    return [{ object, apply }];
  }
  if (decision.outcome.refusal.reason !== "FENCED") return [];
  const apply = (state: string): string | null => {
    const [newest, holder] = state.split(":");
    if (holder !== token) return state;
    return mayLapse(token) ? `${newest}:0` : null;
  };
  return [{ object, apply }];
}

/** A grant: a newer token than ever, to one who finds the object free, or freed by time; or the holder's own again. */
function take(token: string, mayLapse: (token: string) => boolean) {
  return (state: string): string | null => {
    const [newest, holder] = state.split(":") as [string, string];
    if (holder === token) return state;
    if (state === SUCCEEDED || Number(token) <= Number(newest)) return null;
    return holder === "0" || mayLapse(holder) ? `${token}:${token}` : null;
  };
}

function aliasMeanings(operation: Operation, doubts: Doubts): readonly Meaning[] {
  const set = changeOf(operation, "setAlias")!;
  const decision = decisionOf(operation);
  if (decision === null) return [];
  const object = `alias ${set.model}`;
  const expected = set.expectedAliasRevision === null ? null : `${set.expectedAliasRevision}`;
  if (decision.outcome.ok) {
    const isExpected = (state: string) => expected === null || aliasSeen(set.model, expected, doubts)(state) !== null;
    return [{ object, apply: (state) => (isExpected(state) ? `${decision.revision}` : null) }];
  }
  if (decision.outcome.refusal.reason !== "CONFLICT") return [];
  return [{ object, apply: (state) => (state !== expected || doubts.maybeSet(set.model) ? state : null) }];
}

/** The revision that stands, or one that an unheard-of set has made since. */
function aliasSeen(model: string, revision: string, { maybeSet, wasTold }: Doubts) {
  return (state: string): string | null => {
    if (state === revision) return state;
    return maybeSet(model) && !wasTold(revision) && Number(revision) > Number(state) ? revision : null;
  };
}

function readMeanings(what: string, key: string, value: string | null, doubts: Doubts): readonly Meaning[] {
  const { mayLapse } = doubts;
  const read = JSON.parse(value ?? "null") as unknown;
  switch (what) {
    case "model": {
      const revision = `${(read as Model | null)?.aliases["canonical"]?.revision ?? 0}`;
      return [{ object: `alias ${key}`, apply: aliasSeen(key, revision, doubts) }];
    }
    case "lock":
      return [{ object: `lock ${key}`, apply: seen(`${(read as Lock | null)?.holder?.fencingToken ?? 0}`, mayLapse) }];
    case "work":
      return [{ object: `work ${key}`, apply: seen(`${(read as WorkItem | null)?.claim?.fencingToken ?? 0}`, () => true) }];
    default:
      return [];
  }
}

/** A holder that was seen: the one there is, or one whose grant nobody was told of. */
function seen(token: string, mayLapse: (token: string) => boolean) {
  return (state: string): string | null => {
    if (token !== "0") return take(token, mayLapse)(state);
    const [newest, holder] = state.split(":") as [string, string];
    if (state === SUCCEEDED || holder === "0") return state;
    return mayLapse(holder) ? `${newest}:0` : null;
  };
}

/** An item's last state: no token is newer. */
const SUCCEEDED = "Infinity:0";
