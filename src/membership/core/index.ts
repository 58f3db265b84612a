/** Membership without sockets and clocks: SWIM with Lifeguard, and the detector of old. */
export {
  type Lifecycle,
  type MemberRecord,
  type MemberState,
  type MemberView,
  type MembershipView,
  type Metadata,
  type Reach,
  type RejectReason,
  type Seed,
  type SwimCommand,
  type SwimCore,
  type SwimCounters,
  type SwimEvent,
  type Transmission,
  Address,
  Digest,
  ProfileHash,
  StreamId,
} from "./swim/types.ts";
export { removalBarrier } from "./swim/incarnation.ts";
export { createSwim } from "./swim/core.ts";
export { whyNotTold } from "./swim/own-record.ts";
export { MemberNumbers } from "./swim/member-numbers.ts";
export { type SwimSetup } from "./swim/setup.ts";
export { asReceived } from "./swim/received.ts";
export { type BrokenRelation, type Knob, type Knobs, showKnob } from "./knobs.ts";
export { type SwimOptions, swimKnobs } from "./swim/options.ts";
export { type SwimProfileName, swimProfiles, withoutLifeguard } from "./swim/profiles.ts";
export { checkSwimOptions } from "./swim/relations.ts";
export { type LossFigures, type Quantiles, type SwimFigures, explainSwim } from "./swim/explain.ts";
export { profileHashOf } from "./swim/profile-hash.ts";
export { votersHashOf } from "./swim/voters-hash.ts";
export {
  type HttpPollFigures,
  type HttpPollOptions,
  type HttpPollProfileName,
  checkHttpPollOptions,
  explainHttpPoll,
  httpPollKnobs,
  httpPollProfiles,
} from "./http-poll/options.ts";
export { createHttpPoll } from "./http-poll/core.ts";
export type {
  HttpPollCore,
  HttpPollEvent,
  HttpPollView,
  Peer,
  PeerState,
  PeerView,
  Poll,
  PollFailure,
  PollId,
  PollResult,
} from "./http-poll/types.ts";
export {
  type ComparisonView,
  type Detector,
  type DetectorFigures,
  type Disagreement,
  type Opinion,
  type Statement,
  Comparison,
  statementOfHttp,
  statementOfSwim,
} from "./compare.ts";
export { type AllowList, type AllowListOptions, createAllowList, isContainerId } from "./swim/allow-list.ts";
export { canonicalAddress, formatEndpoint, parseIp } from "./swim/address.ts";
export { isPresent } from "./swim/precedence.ts";
export { suspicionBounds } from "./swim/suspicion.ts";
