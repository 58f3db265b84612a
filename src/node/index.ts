export {
  INDEX_GAP,
  RECOVERY_RECORD,
  backupName,
  cutLog,
  foundCluster,
  readHistory,
  requireSound,
  stateInFile,
  stateOf,
} from "./found-cluster.ts";
export type { VoterMeter } from "./metered.ts";
export { startVoter, type Voter, type LeaderOperation, type VoterOptions, type VoterPorts, type VoterProbe } from "./voter.ts";
export { tracingProbe, encodeTraceLine, type CoreState, type ObservedInput, type TraceLine } from "./trace.ts";
