import { setTimeout as pause } from "node:timers/promises";
import type { Client, ClusterMember, ClusterVoters, Membership } from "#client";
import { ExitError, NodeId } from "#kernel";
import { type Command, UsageError, parse } from "../command.ts";
import { connectionHelp, connectionOptions, secondsOf, withClient } from "../connection.ts";
import { type OutputFormat, outputFormat, printJson, printRows } from "../output.ts";

const DEFAULT_CHANGE_SECONDS = 120;
const PROBE_MS = 10_000;
const POLL_MS = 300;

const listOptions = connectionHelp.replace("Options:\n", "");
const changeOptions = `${listOptions.replace("(default 10)", `(default ${DEFAULT_CHANGE_SECONDS})`)}
Exit code 3 when there is no such member, 4 when the change is refused (another one is under way, …), 5 without leader or quorum, 6 when the time is
over: the change may still be carried out, \`ringraft member list\` tells.`;

export const memberList: Command = {
  name: "member list",
  summary: "Who belongs to the cluster, who votes, and how far each has come",
  usage: "[--stale] [-e HOST:PORT] [-o table|json]",
  details: `Asks the leader, which first makes sure that it still leads: what is printed holds now.

Options:
      --stale               ask any voter instead; works without a leader, and progress is then unknown
${listOptions}`,
  run: async (args) => {
    const { values } = parse(args, { ...connectionOptions, stale: { type: "boolean" } }, []);
    const format = outputFormat(values);
    const mode = values.stale === true ? "stale" : "linearizable";
    printMembership(format, await withClient(values, (client) => client.cluster.members({ mode })));
    return 0;
  },
};

export const memberAdd: Command = {
  name: "member add",
  summary: "Add a node that stands under hosts: it catches up as a learner and then votes",
  usage: "NODE [--learner] [-e HOST:PORT] [-o table|json]",
  details: `The node must be named under hosts in every voter's configuration and run with an empty data directory; start it before or
after. Waits until it votes, and tells the progress on standard error.

Options:
      --learner             let it stay a learner: it receives everything and counts for nothing
${changeOptions}`,
  run: async (args) => {
    const { values, positionals } = parse(args, { ...connectionOptions, learner: { type: "boolean" } }, ["NODE"]);
    const format = outputFormat(values);
    const node = nodeId(positionals[0]!);
    const deadline = deadlineOf(values.timeout);
    return await withClient(values, async (client) => {
      // Quick to say that nobody is there, however long the change itself may take.
      await client.cluster.members({ timeoutMs: PROBE_MS });
      const learner = values.learner === true;
      const voters = await client.cluster.add(node, { learner, timeoutMs: deadline() });
      if (learner) printVoters(format, voters);
      else printMembership(format, await untilVoter(client, node, deadline));
      return 0;
    });
  },
};

export const memberPromote: Command = {
  name: "member promote",
  summary: "Make a learner a voter as soon as it has caught up",
  usage: "NODE [-e HOST:PORT] [-o table|json]",
  details: `Waits until it votes, and tells the progress on standard error.

Options:
${changeOptions}`,
  run: async (args) => {
    const { values, positionals } = parse(args, connectionOptions, ["NODE"]);
    const format = outputFormat(values);
    const node = nodeId(positionals[0]!);
    const deadline = deadlineOf(values.timeout);
    return await withClient(values, async (client) => {
      await client.cluster.members({ timeoutMs: PROBE_MS });
      await client.cluster.promote(node, { timeoutMs: deadline() });
      printMembership(format, await untilVoter(client, node, deadline));
      return 0;
    });
  },
};

export const memberRemove = change(
  "member remove",
  "Take a node out of the cluster; a leader that is removed hands over first",
  ["NODE"],
  `Stop the node afterwards. It may only come back with an empty data directory, by \`member add\`.`,
  (client, [node], timeoutMs) => client.cluster.remove(node!, { timeoutMs }),
);

export const memberDemote = change(
  "member demote",
  "Make a voter a learner: it receives everything and counts for nothing",
  ["NODE"],
  "`member promote` makes it a voter again.",
  (client, [node], timeoutMs) => client.cluster.demote(node!, { timeoutMs }),
);

export const memberReplace = change(
  "member replace",
  "One voter out and another in, in one step, so that the number of voters never changes",
  ["OLD", "NEW"],
  "NEW is best a learner that has caught up (`member add NEW --learner`).",
  (client, [remove, add], timeoutMs) => client.cluster.replace(remove!, add!, { timeoutMs }),
);

function change(
  name: string,
  summary: string,
  positionals: readonly string[],
  details: string,
  make: (client: Client, nodes: readonly NodeId[], timeoutMs: number) => Promise<ClusterVoters>,
): Command {
  return {
    name,
    summary,
    usage: `${positionals.join(" ")} [-e HOST:PORT] [-o table|json]`,
    details: `${details}\n\nOptions:\n${changeOptions}`,
    run: async (args) => {
      const { values, positionals: named } = parse(args, connectionOptions, positionals);
      const format = outputFormat(values);
      const nodes = named.map(nodeId);
      const deadline = deadlineOf(values.timeout);
      return await withClient(values, async (client) => {
        await client.cluster.members({ timeoutMs: PROBE_MS });
        printVoters(format, await make(client, nodes, deadline()));
        return 0;
      });
    },
  };
}

function nodeId(text: string): NodeId {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return NodeId(text);
  throw new UsageError(`"${text}" is not a node id`);
}

/** Gives what is left of the time, at least a little, so that the last look is a real one. */
function deadlineOf(timeout: string | undefined): () => number {
  const end = performance.now() + secondsOf(timeout, DEFAULT_CHANGE_SECONDS) * 1000;
  return () => Math.max(1, end - performance.now());
}

async function untilVoter(client: Client, node: NodeId, deadline: () => number): Promise<Membership> {
  let told = "";
  for (;;) {
    const membership = await client.cluster.members({ timeoutMs: Math.max(PROBE_MS, deadline()) });
    const member = membership.members.find(({ nodeId: id }) => id === node);
    if (member === undefined) throw new ExitError(4, `${node} is not a member any more: somebody has removed it`);
    if (member.voter && !membership.members.some(({ outgoing }) => outgoing)) return membership;
    const progress = `${node}: ${progressOf(member)}`;
    if (progress !== told) process.stderr.write(`${progress}\n`);
    told = progress;
    if (deadline() <= 1) {
      const hint = "It becomes a voter by itself once it has caught up: see `ringraft member list`.";
      throw new ExitError(6, `${node} does not vote yet (${progressOf(member)})`, hint);
    }
    await pause(POLL_MS);
  }
}

function progressOf(member: ClusterMember): string {
  if (member.voter) return "votes; the old configuration is being left";
  const reached = member.recentlyActive === false ? ", not reached: is it running?" : "";
  const lag = member.lagEntries === null ? "progress unknown" : `${member.lagEntries} entries behind`;
  return `learner, ${lag}${member.progress === "snapshot" ? ", receives a snapshot" : ""}${reached}`;
}

function printMembership(format: OutputFormat, membership: Membership): void {
  if (format === "json") {
    printJson(membership);
    return;
  }
  printRows(format, membership.members, {
    NODE: (member) => member.nodeId,
    ROLE: roleOf,
    MATCH: (member) => String(member.matchIndex ?? "-"),
    LAG: (member) => String(member.lagEntries ?? "-"),
    STATE: (member) => member.progress ?? "-",
    ACTIVE: (member) => (member.recentlyActive === null ? "-" : member.recentlyActive ? "yes" : "no"),
    CLIENT: (member) => member.clientAddress || "-",
    PEER: (member) => member.peerAddress || "-",
  });
}

function roleOf(member: ClusterMember): string {
  if (member.leader) return member.voter ? "leader" : "leader, leaving";
  if (member.voter) return "voter";
  if (member.outgoing) return "voter, leaving";
  return member.promoting ? "learner, to vote" : "learner";
}

function printVoters(format: OutputFormat, { voters, outgoing, learners, promoting }: ClusterVoters): void {
  if (format === "json") {
    printJson({ voters, outgoing, learners, promoting });
    return;
  }
  const lines = Object.entries({ voters, leaving: outgoing, learners }).filter(
    ([key, ids]) => key === "voters" || ids.length > 0,
  );
  process.stdout.write(lines.map(([key, ids]) => `${key.padEnd(8)}  ${ids.join(", ")}\n`).join(""));
}
