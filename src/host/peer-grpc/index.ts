export { createPeerLinks } from "./links.ts";
export type { GrpcPeerLinks, PeerLinkOptions, PeerLinkPorts, TlsMaterial } from "./links.ts";
export { askView, type ViewOptions, viewService } from "./views.ts";
export { FOUNDING_ENTRIES, learnCluster, type LearnClusterOptions } from "./learn-cluster.ts";
