/** Who holds which gossip keys, put together from the views of several nodes. Keys are names here: the first digits of a fingerprint. */
export interface KeyHolder {
  readonly nodeId: string;
  readonly state: string;
  /** The one that it seals with first; empty: it does not tell. */
  readonly keys: readonly string[];
  /** Whose view this is: its own, where it could be asked. */
  readonly toldBy: string;
}

/** The part of a `GET /v1/nodes` that this is made from. */
export interface KeyView {
  readonly nodeId: string;
  readonly members: readonly {
    readonly nodeId: string;
    readonly state: string;
    readonly incarnation: string;
    readonly keys: readonly string[];
  }[];
}

/** Everybody who is there in any of the views, by name. A node's own word holds; of the others', the newest. */
export function holdersOf(views: readonly KeyView[]): readonly KeyHolder[] {
  const best = new Map<string, { readonly holder: KeyHolder; readonly rank: readonly number[] }>();
  for (const view of views) {
    for (const { nodeId, state, incarnation, keys } of view.members) {
      const rank = [nodeId === view.nodeId ? 1 : 0, ...incarnation.split(".").map(Number)];
      const known = best.get(nodeId);
      if (known !== undefined && !isHigher(rank, known.rank)) continue;
      best.set(nodeId, { holder: { nodeId, state, keys, toldBy: view.nodeId }, rank });
    }
  }
  return [...best.values()]
    .map(({ holder }) => holder)
    .filter(({ state }) => state === "alive" || state === "suspect")
    .toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

export interface KeyUse {
  readonly key: string;
  readonly usedBy: readonly string[];
  readonly installedAt: readonly string[];
  readonly missingAt: readonly string[];
}

/** Key by key, the most used first. */
export function usesOf(holders: readonly KeyHolder[]): readonly KeyUse[] {
  const names = [...new Set(holders.flatMap(({ keys }) => keys))];
  const ids = (those: readonly KeyHolder[]): readonly string[] => those.map(({ nodeId }) => nodeId);
  return names
    .map((key) => ({
      key,
      usedBy: ids(holders.filter(({ keys }) => keys[0] === key)),
      installedAt: ids(holders.filter(({ keys }) => keys.includes(key))),
      missingAt: ids(holders.filter(({ keys }) => !keys.includes(key))),
    }))
    .toSorted((a, b) => b.usedBy.length - a.usedBy.length || b.installedAt.length - a.installedAt.length);
}

/** Those for whom an action is still to be done. Whoever does not tell its keys counts as one. */
export function leftTo(action: "install" | "use" | "remove", key: string, holders: readonly KeyHolder[]): readonly string[] {
  const isDone = ({ keys }: KeyHolder): boolean => {
    if (action === "use") return keys[0] === key;
    return action === "install" ? keys.includes(key) : keys.length > 0 && !keys.includes(key);
  };
  return holders.filter((holder) => !isDone(holder)).map(({ nodeId }) => nodeId);
}

/** For whose sake the action must not be begun yet; empty when it may. The nodes look again, each with its own view. */
export function inTheWay(action: "use" | "remove", key: string, holders: readonly KeyHolder[]): readonly string[] {
  if (action === "use") return leftTo("install", key, holders);
  return holders.filter(({ keys }) => (keys[0] ?? key) === key).map(({ nodeId }) => nodeId);
}

/** The same in words; null when the action may be begun. */
export function whyNot(action: "use" | "remove", key: string, holders: readonly KeyHolder[]): string | null {
  const those = inTheWay(action, key, holders);
  if (those.length === 0) return null;
  return `key ${key} is ${action === "use" ? "not installed at" : "still used by"} ${those.join(", ")}`;
}

/** One of `those` has been asked itself, so waiting changes nothing. What others tell of somebody may only be old. */
export function isByOwnWord(those: readonly string[], holders: readonly KeyHolder[]): boolean {
  return holders.some(({ nodeId, toldBy }) => nodeId === toldBy && those.includes(nodeId));
}

function isHigher(one: readonly number[], other: readonly number[]): boolean {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at !== -1 && one[at]! > (other[at] ?? -1);
}
