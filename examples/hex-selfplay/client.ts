/** The only door to the cluster: what `ringraft/client` exports. Nothing else of ringraft is used in this example. */
import type { Client, ClientOptions, ClientSession, HeldLock } from "../../src/client/index.ts";

export { ClientError, connect } from "../../src/client/index.ts";
export type { Client, ClientSession, HeldLock, NewWork } from "../../src/client/index.ts";
export type ClusterId = NonNullable<ClientOptions["clusterId"]>;
export type WorkId = Parameters<Client["work"]["get"]>[0];
export type FencingToken = HeldLock["fencingToken"];
export type NodeId = Awaited<ReturnType<Client["members"]>>[number]["nodeId"];
export type Job = Awaited<ReturnType<Client["jobs"]["get"]>>;
export type JobId = Job["jobId"];
export type Model = Awaited<ReturnType<Client["models"]["get"]>>;
export type ModelVersion = Awaited<ReturnType<Client["models"]["version"]>>;
export type SessionModels = ClientSession["models"];
