/** Feature levels of the replicated state (docs/semantics.md#nodes). A test holds them against the state machine's own. */
export const NODES_LEVEL = 1;
/** At which a new cluster begins: all of its voters start with this version or a newer one. */
export const NEWEST_LEVEL = 1;
