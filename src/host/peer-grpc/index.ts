export { createPeerLinks } from "./links.ts";
export type { GrpcPeerLinks, PeerLinkOptions, PeerLinkPorts, TlsMaterial } from "./links.ts";
export { learnCluster, type LearnClusterOptions } from "./learn-cluster.ts";
