export { verifyTrace, type TraceVerdict } from "./reference/verify-trace.ts";
