import grpc from "@grpc/grpc-js";
import { type ClusterId, NodeId } from "#kernel";
import type { Testimony } from "#membership";
import type { MemberState } from "#membership/core";
import { decodeMessage, encodeMessage } from "#codec";
import { GetViewRequest, GetViewResponse, MemberState as StateCode, type View } from "#gen/ringraft/membership/v1/view.js";
import { whyForeignCertificate } from "./handshake.ts";
import type { TlsMaterial } from "./links.ts";
import { peerCredentials } from "./outbound.ts";
import { channelOptions } from "./wire.ts";

export interface ViewOptions {
  readonly self: NodeId;
  readonly clusterId: ClusterId;
  /** `host:port` of the peer port of every other node. */
  readonly peers: ReadonlyMap<NodeId, string>;
  /** Where the link to a peer is open, if that is another place: it has moved, and the file here has not followed it. */
  readonly openAt?: (peer: NodeId) => string | null;
  readonly tls: TlsMaterial | null;
}

/** A service beside the peer links on their port, which answers who asks what this node sees of others. */
export interface PeerService {
  readonly definition: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
}

const ANSWER_MS = 2_500;
/** As many as a node can know of. */
const MAX_ABOUT = 20_000;

/**
 * Asks `voter` what it sees of `about`; null when it has no view, or none comes in time. It is believed by the same rule as
 * on the peer links: its certificate must name it, wherever it is dialled. Asking is rare, so each question has its own connection.
 */
export function askView(
  { self, clusterId, peers, openAt = () => null, tls }: ViewOptions,
  voter: NodeId,
  about: readonly NodeId[],
): Promise<Testimony | null> {
  if (!peers.has(voter)) return Promise.resolve(null);
  const address = openAt(voter) ?? peers.get(voter)!;
  const client = new grpc.Client(address, peerCredentials(tls, voter), channelOptions);
  const { promise, resolve } = Promise.withResolvers<Testimony | null>();
  const { path, requestSerialize, responseDeserialize } = viewDefinition.getView;
  const request = { clusterId, nodeId: self, peerId: voter, about: [...about] };
  const onAnswer = (_: grpc.ServiceError | null, response: GetViewResponse | undefined): void => {
    client.close();
    resolve(response?.nodeId === voter && response.view !== undefined ? testimonyFrom(response.view, about) : null);
  };
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline: Date.now() + ANSWER_MS }, onAnswer);
  return promise;
}

/** Tells the other nodes of the cluster what this one sees, and nobody else. `look` never rejects. */
export function viewService(
  { self, clusterId, peers, tls }: ViewOptions,
  look: (about: readonly NodeId[]) => Promise<Testimony | null>,
): PeerService {
  const whyNot = (call: grpc.ServerUnaryCall<GetViewRequest, GetViewResponse>): string | null => {
    const { clusterId: theirs, nodeId, peerId, about } = call.request;
    if (theirs !== clusterId) return `cluster "${theirs}" there, "${clusterId}" here`;
    if (peerId !== self) return `it looks for node "${peerId}", this is "${self}"`;
    if (!peers.has(nodeId as NodeId)) return `node "${nodeId}" is not a peer of "${self}"`;
    if (about.length > MAX_ABOUT) return `about has ${about.length} entries, at most ${MAX_ABOUT} are allowed`;
    if (tls === null) return null;
    const certificate = call.getAuthContext().sslPeerCertificate;
    return certificate === undefined ? "it shows no certificate" : whyForeignCertificate(certificate, nodeId as NodeId);
  };
  const getView: grpc.handleUnaryCall<GetViewRequest, GetViewResponse> = (call, answer) => {
    const why = whyNot(call);
    if (why !== null) return answer({ code: grpc.status.FAILED_PRECONDITION, details: why });
    const about = call.request.about.map(NodeId);
    void look(about).then((testimony) =>
      answer(null, { nodeId: self, ...(testimony === null ? {} : { view: viewFrom(testimony, about) }) }),
    );
  };
  return { definition: viewDefinition, implementation: { getView } };
}

const viewDefinition = {
  getView: {
    path: "/ringraft.membership.v1.ViewService/GetView",
    requestStream: false,
    responseStream: false,
    requestSerialize: (request: GetViewRequest) => Buffer.from(encodeMessage(GetViewRequest, request)),
    requestDeserialize: (bytes: Buffer) => decodeMessage(GetViewRequest, bytes),
    responseSerialize: (response: GetViewResponse) => Buffer.from(encodeMessage(GetViewResponse, response)),
    responseDeserialize: (bytes: Buffer) => decodeMessage(GetViewResponse, bytes),
  },
} as const satisfies grpc.ServiceDefinition;

function viewFrom({ healthMultiplier, members, partition }: Testimony, about: readonly NodeId[]): View {
  return {
    healthMultiplier,
    members: about.flatMap((nodeId) => {
      const member = members.get(nodeId);
      return member === undefined ? [] : [{ nodeId, state: stateCodes[member.state], ...member.incarnation }];
    }),
    ...(partition === null ? {} : { lost: { nodeIds: [...partition] } }),
  };
}

/** Null for a view that makes no sense: what cannot be read is no evidence. */
function testimonyFrom({ healthMultiplier, members, lost }: View, about: readonly NodeId[]): Testimony | null {
  const asked = new Set<string>(about);
  if (healthMultiplier < 1 || members.some(({ nodeId, state }) => !asked.has(nodeId) || !states.has(state))) return null;
  return {
    healthMultiplier,
    partition: lost?.nodeIds.map(NodeId) ?? null,
    members: new Map(
      members.map(({ nodeId, state, epoch, counter }) => [
        NodeId(nodeId),
        { state: states.get(state)!, incarnation: { epoch, counter } },
      ]),
    ),
  };
}

const stateCodes = {
  alive: StateCode.MEMBER_ALIVE,
  suspect: StateCode.MEMBER_SUSPECT,
  dead: StateCode.MEMBER_DEAD,
  left: StateCode.MEMBER_LEFT,
  removed: StateCode.MEMBER_REMOVED,
} as const satisfies Record<MemberState, StateCode>;

const states: ReadonlyMap<StateCode, MemberState> = new Map(
  Object.entries(stateCodes).map(([state, code]) => [code, state as MemberState]),
);
