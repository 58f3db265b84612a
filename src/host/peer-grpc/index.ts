export { createPeerLinks } from "./links.ts";
export type { GrpcPeerLinks, PeerLinkOptions, PeerLinkPorts, TlsMaterial } from "./links.ts";
