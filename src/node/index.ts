export type { VoterMeter } from "./metered.ts";
export { startVoter, type Voter, type VoterOptions, type VoterPorts, type VoterProbe } from "./voter.ts";
