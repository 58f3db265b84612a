export { committedIndex, isQuorum, voteResult, type VoteResult } from "./quorum.ts";
