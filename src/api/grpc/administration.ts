import { NodeId, type Outcome, type Refusal, accepted, assertNever, refusal, refused } from "#kernel";
import type { Administration, Configuration, MembershipChange } from "#replica";
import type { ResponseBody } from "#codec";
import type { ConfigurationResponse } from "#gen/ringraft/v1/cluster.js";
import type { Request } from "#gen/ringraft/v1/stream.js";
import type { GrpcApiDeps } from "./deps.ts";

export type AdministrationBody = Extract<
  Request["body"],
  {
    oneofKind: "memberAdd" | "memberRemove" | "memberPromote" | "memberDemote" | "memberReplace" | "transferLeadership";
  }
>;

type AdministrationDeps = Pick<GrpcApiDeps, "replica" | "knows">;

/** Changes of the cluster itself. Bad ids are refused here; whether the change may be made is the leader's to say. */
export async function administer(deps: AdministrationDeps, body: AdministrationBody): Promise<Outcome<ResponseBody>> {
  if (body.oneofKind === "transferLeadership") return await transfer(deps.replica, body.transferLeadership.toNodeId);
  const change = changeOf(body);
  if (!change.ok) return change;
  const stranger = strangerIn(change.value, deps);
  if (stranger !== null) return refused(stranger);
  const done = await deps.replica.reconfigure(change.value);
  return done.ok ? accepted({ oneofKind: "configuration", configuration: configurationToProto(done.value) }) : done;
}

/** Nobody could send it a single entry, and a change that waits for it would never end. */
function strangerIn(change: MembershipChange, { replica, knows }: AdministrationDeps): Refusal | null {
  if (!replica.leader().isSelf) return null;
  const added = change.kind === "add" ? change.node : change.kind === "replace" ? change.add : null;
  if (added === null || knows(added)) return null;
  const message = `${added} is not under hosts in the leader's configuration: give it an address there first`;
  return refusal("INVALID_ARGUMENT", message, { field: change.kind === "add" ? "node_id" : "add_node_id" });
}

async function transfer(cluster: Administration, toNodeId: string): Promise<Outcome<ResponseBody>> {
  const to = toNodeId === "" ? accepted(null) : nodeIdOf("to_node_id", toNodeId);
  if (!to.ok) return to;
  const led = await cluster.transferLeadership(to.value);
  return led.ok ? accepted({ oneofKind: "leadership", leadership: { leaderId: led.value } }) : led;
}

function changeOf(body: Exclude<AdministrationBody, { oneofKind: "transferLeadership" }>): Outcome<MembershipChange> {
  switch (body.oneofKind) {
    case "memberAdd": {
      const { nodeId, learner } = body.memberAdd;
      return withNode(nodeId, (node) => ({ kind: "add", node, promote: !learner }));
    }
    case "memberRemove":
      return withNode(body.memberRemove.nodeId, (node) => ({ kind: "remove", node }));
    case "memberPromote":
      return withNode(body.memberPromote.nodeId, (node) => ({ kind: "promote", node }));
    case "memberDemote":
      return withNode(body.memberDemote.nodeId, (node) => ({ kind: "demote", node }));
    case "memberReplace": {
      const remove = nodeIdOf("remove_node_id", body.memberReplace.removeNodeId);
      const add = nodeIdOf("add_node_id", body.memberReplace.addNodeId);
      if (!remove.ok) return remove;
      return add.ok ? accepted({ kind: "replace", remove: remove.value, add: add.value }) : add;
    }
    default:
      return assertNever(body, "membership change");
  }
}

function withNode(nodeId: string, change: (node: NodeId) => MembershipChange): Outcome<MembershipChange> {
  const node = nodeIdOf("node_id", nodeId);
  return node.ok ? accepted(change(node.value)) : node;
}

/** The same letters that the configuration accepts: a name that no host can have would wait for ever to catch up. */
function nodeIdOf(field: string, text: string): Outcome<NodeId> {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return accepted(NodeId(text));
  const problem = text === "" ? "is required" : `is not a node id: ${JSON.stringify(text.slice(0, 80))}`;
  return refused(refusal("INVALID_ARGUMENT", `${field} ${problem}`, { field }));
}

function configurationToProto({ voters, votersOutgoing, learners, promoting }: Configuration): ConfigurationResponse {
  return {
    voters: [...voters],
    outgoing: [...(votersOutgoing ?? [])],
    learners: [...learners],
    promoting: [...promoting],
  };
}
