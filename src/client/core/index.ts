/** The client's decisions without its connections: for the SDK, and for clients of the simulated world. */
export { Lease } from "./lease.ts";
export { LeaderSearch, type SearchStep } from "./leader-search.ts";
export { type Nature, type Verdict, afterLoss, afterRefusal, backoffMs, leavesDoubt, outcomeWhenGivenUp } from "./retry.ts";
export { SequenceWindow } from "./sequence-window.ts";
