export { type ElectionDeps, type HttpAnswer, electionBody, refusalAnswer, triggerElection } from "./election.ts";
export { statusBody } from "./status.ts";
