/** Membership in motion: the detectors' cores run over ports. Everything they say is a hint; quorum and leadership are the log's. */
export {
  type FormerLives,
  Membership,
  type MembershipLook,
  type MembershipMode,
  type MembershipPorts,
  type MembershipSetup,
} from "./membership.ts";
export { splitPlace } from "./address.ts";
export type { Proposal, Testimony } from "./evidence.ts";
export { testimonyOf } from "./testimony.ts";
export type { Removal } from "./removals.ts";
export { type Committed, Verdicts } from "./verdicts.ts";
export { type Clause, swimConvergence } from "./convergence.ts";
export { type Finding, type MachineFacts, type SelfTest } from "./self-test.ts";
export { decodeMembers, encodeMembers, type RememberedMembers, rememberedAs, worthRemembering } from "./members-file.ts";
