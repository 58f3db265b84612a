import type { PeerCertificate } from "node:tls";
import type { ClusterId, LogIndex, NodeId } from "#kernel";
import type { DirectoryFault, ShownDirectory } from "#storage";
import grpc from "@grpc/grpc-js";
import type { Hello } from "#gen/ringraft/peer/v1/raft.js";

export const PROTOCOL_VERSION = 1;

export interface Identity {
  readonly self: NodeId;
  readonly clusterId: ClusterId;
  /** Changes at every start of the process. */
  readonly incarnation: number;
  /** Of this node's data directory; empty and 0 while it has none. */
  readonly directoryId: string;
  readonly starts: number;
  /** By which entry this node is a member, as its log has it at the moment. */
  readonly admission: () => LogIndex;
  /** How far this node's log goes at the moment. */
  readonly lastIndex: () => LogIndex;
  /** `host:port` of this node as its own configuration has it: whoever does not reach it elsewhere may try there. */
  readonly address?: string;
}

export function helloTo(
  peer: NodeId,
  { self, clusterId, incarnation, directoryId, starts, admission, lastIndex, address = "" }: Identity,
): Hello {
  const who = { clusterId, nodeId: self, peerId: peer, protocolVersion: PROTOCOL_VERSION, incarnation };
  return { ...who, directoryId, starts, admission: admission(), lastIndex: lastIndex(), peerAddress: address };
}

/** Why `hello` must not be talked to, with both values; null when it fits. `expected` is null where any known peer may call. */
export function whyUnfit(
  hello: Hello | undefined,
  us: Identity,
  peers: ReadonlyMap<NodeId, string>,
  expected: NodeId | null,
): string | null {
  if (hello === undefined) return "the first frame is not a Hello";
  const { clusterId, nodeId, peerId, protocolVersion } = hello;
  if (protocolVersion !== PROTOCOL_VERSION) return `protocol version ${protocolVersion} there, ${PROTOCOL_VERSION} here`;
  if (clusterId !== us.clusterId) return `cluster "${clusterId}" there, "${us.clusterId}" here`;
  if (peerId !== us.self) return `it looks for node "${peerId}", this is "${us.self}"`;
  if (expected !== null && nodeId !== expected) return `node "${nodeId}" answers where "${expected}" was expected`;
  if (!peers.has(nodeId as NodeId)) return `node "${nodeId}" is not a peer of "${us.self}"`;
  return null;
}

/** What the data directory of whoever sent `hello` is judged by. */
export function shownBy({ directoryId, starts, incarnation, admission }: Hello): ShownDirectory {
  return { directoryId, starts, incarnation, admission: admission as LogIndex };
}

/** A refusal because of the caller's data directory says so to the machine too: the caller counts them. */
export function refusalOf(why: string, fault: DirectoryFault | null): Partial<grpc.StatusObject> {
  const metadata = new grpc.Metadata();
  if (fault !== null) metadata.set(FAULT_KEY, fault);
  return { code: grpc.status.FAILED_PRECONDITION, details: why, metadata };
}

/** Null when the stream ended for another reason. */
export function faultOf(error: grpc.ServiceError): DirectoryFault | null {
  const [fault] = error.metadata?.get(FAULT_KEY) ?? [];
  return fault === "wiped" || fault === "cloned" ? fault : null;
}

const FAULT_KEY = "ringraft-directory";

/** A peer's certificate must name it: `node-<id>` among its DNS names, or its id as the common name. */
export function whyForeignCertificate(
  certificate: Pick<PeerCertificate, "subject" | "subjectaltname">,
  peer: NodeId,
): string | null {
  const names = (certificate.subjectaltname ?? "").split(", ").map((name) => name.replace(/^DNS:/, ""));
  const commonNames = [certificate.subject.CN].flat();
  const accepted: readonly (string | undefined)[] = [`node-${peer}`, peer];
  if (names.includes(`node-${peer}`) || commonNames.some((name) => accepted.includes(name))) return null;
  return `the certificate names ${[...names, ...commonNames].filter(Boolean).join(", ")}, not node-${peer}`;
}
