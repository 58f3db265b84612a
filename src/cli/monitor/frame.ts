import { duration, oneLine, tableLines } from "../output.ts";
import { countsOf, type EventRow, type MemberRow, type Picture, type QueueRow, type VoterRow } from "./picture.ts";

export type Style = "bold" | "dim" | "green" | "yellow" | "red";

/** One line of the screen, in one style. Plain text without control characters: whoever paints it adds the rest. */
export interface Line {
  readonly text: string;
  readonly style: Style | null;
}

export interface FrameInput {
  readonly picture: Picture;
  /** The last picture with a teller; shown greyed while nobody answers. */
  readonly last: Picture | null;
  /** Who does not answer, since when. */
  readonly silences: ReadonlyMap<string, number>;
  readonly leaderlessSince: number | null;
  /** Seen by the monitor itself. */
  readonly changes: readonly EventRow[];
}

/** How much room there is; `rows` null: as much as it takes. */
export interface Room {
  readonly columns: number;
  readonly rows: number | null;
}

/** The whole screen: what decides first, then alarms, then who is there, the sick before the healthy. */
export function frameOf(input: FrameInput, room: Room): readonly Line[] {
  const { picture, last, silences, leaderlessSince, changes } = input;
  const shown = picture.teller === null ? last : picture;
  const head = headOf(picture, shown, silences);
  if (shown === null) return cut([...head, ...silenceLines(picture, silences)], room);
  const facts = factsOf(shown, leaderlessSince);
  const sections = sectionsOf(shown, changes, silenceLines(picture, silences));
  const lines = [...facts, ...fitted(sections, room.rows === null ? null : room.rows - head.length - facts.length)];
  const isOld = picture.teller === null;
  return cut([...head, ...(isOld ? lines.map(({ text }): Line => ({ text, style: "dim" })) : lines)], room);
}

function headOf(picture: Picture, shown: Picture | null, silences: ReadonlyMap<string, number>): readonly Line[] {
  const { at, doors } = picture;
  const answering = doors.length - silences.size;
  const cluster = shown?.clusterId == null ? "" : `cluster ${shown.clusterId}  `;
  const top = line(`${cluster}${timeOf(at)}  ${answering} of ${doors.length} nodes answer`, "bold");
  if (picture.teller !== null) return [top];
  const since = Math.max(...silences.values());
  const old = shown === null ? "" : `; below is what was heard last, ${duration(at - shown.at)} ago`;
  return [top, line(`NOBODY ANSWERS since ${clockOf(since)} (${duration(at - since)})${old}`, "red")];
}

function factsOf(picture: Picture, leaderlessSince: number | null): readonly Line[] {
  const { leader, term, quorumOk, votes, health, commitIndex, appliedIndex, alivePeers, totalPeers, teller, tellerRole } =
    picture;
  const leads =
    leader === null
      ? `NO LEADER${leaderlessSince === null ? "" : ` since ${clockOf(leaderlessSince)} (${duration(picture.at - leaderlessSince)})`}`
      : `${leader} leads`;
  const parts = [
    `${leads}, term ${term ?? "?"}`,
    `quorum ${quorumOk ? "ok" : "LOST"}${votes === null ? "" : ` (${votes} reachable/needed/all)`}`,
    `health ${health ?? "?"}`,
  ];
  const log = commitIndex === null ? [] : [`commit ${commitIndex}, applied ${appliedIndex ?? "?"}`];
  const peers = alivePeers === null ? [] : [`alive peers ${alivePeers} of ${totalPeers ?? "?"}`];
  const style: Style = leader === null || !quorumOk || health === "critical" ? "red" : health === "healthy" ? "green" : "yellow";
  return [
    line(parts.join("; "), style),
    line([...log, ...peers, `told by ${teller} (${tellerRole ?? "?"})`].join("; ")),
    ...memberFacts(picture),
    ...workFacts(picture),
  ];
}

function memberFacts({ membership, members }: Picture): readonly Line[] {
  if (membership === null) return [line("members: no detector runs on the node that told this")];
  const { mode, converged, digest, agreeing, sampled } = membership;
  const counts = Object.entries(countsOf(members)).map(([state, count]) => `${count} ${state}`);
  const held = digest === null ? "" : `; digest ${digest} held by ${agreeing ?? "?"} of ${sampled ?? "?"} peers heard lately`;
  const text = `members (${mode}): ${counts.join(", ") || "none told"}${held}; ${converged ? "converged" : "NOT CONVERGED"}`;
  return [line(text, converged ? null : "yellow")];
}

function workFacts({ queues, locks, sessions, jobs }: Picture): readonly Line[] {
  if (sessions === null && locks === null) return [];
  const waiting = total(queues, ["PENDING"]);
  const claimed = total(queues, CLAIMED);
  const parts = [`${waiting} waiting, ${claimed} claimed in ${queues.length} queues`];
  if (locks !== null) parts.push(`${locks.held} locks held, ${locks.waiters} waiting for one`);
  if (jobs !== null) parts.push(`${jobs} jobs`);
  if (sessions !== null) parts.push(`${sessions} sessions`);
  return [line(`work: ${parts.join("; ")}`)];
}

/** States of an item that some worker has. */
const CLAIMED = ["CLAIMED", "RUNNING"];

function total(queues: readonly QueueRow[], states: readonly string[]): number {
  return queues.reduce((sum, { states: counts }) => sum + states.reduce((part, state) => part + (counts[state] ?? 0), 0), 0);
}

/** A part of the screen that can be shortened from its end, down to `least` lines below its title. */
interface Section {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly least: number;
}

/** In the order in which they are shown; what is shortened first stands in `SHORTENED`. */
function sectionsOf(picture: Picture, changes: readonly EventRow[], silent: readonly Line[]): readonly Section[] {
  const { alarms, voters, members, queues } = picture;
  const sections: Section[] = [
    { title: "ALARMS", lines: alarms.map((alarm) => line(`  ${alarm}`, "red")), least: 3 },
    { title: "NOT ANSWERING", lines: silent, least: 2 },
    { title: "VOTERS", lines: voterLines(voters), least: 4 },
    { title: "PROVIDERS", lines: providerLines(members), least: 3 },
    { title: "MEMBERS", lines: memberLines(members), least: 4 },
    { title: "QUEUES", lines: queueLines(queues), least: 3 },
    { title: "EVENTS", lines: eventLines([...picture.events, ...changes]), least: 3 },
  ];
  return sections.filter(({ lines }) => lines.length > 0);
}

/** Least missed first. */
const SHORTENED = ["EVENTS", "MEMBERS", "QUEUES", "PROVIDERS", "NOT ANSWERING", "VOTERS", "ALARMS"];

function fitted(sections: readonly Section[], rows: number | null): readonly Line[] {
  const lengths = new Map(sections.map(({ title, lines }) => [title, lines.length]));
  const taken = (): number => [...lengths.values()].reduce((sum, length) => sum + length + 1, 0);
  for (const title of rows === null ? [] : SHORTENED) {
    const section = sections.find((one) => one.title === title);
    if (section === undefined) continue;
    const excess = Math.max(0, taken() - rows!);
    lengths.set(title, Math.max(Math.min(section.least, section.lines.length), section.lines.length - excess));
  }
  return sections.flatMap(({ title, lines }) => [line(title, "bold"), ...shortened(lines, lengths.get(title)!)]);
}

/** The last line that is left tells how many are not shown. */
function shortened(lines: readonly Line[], length: number): readonly Line[] {
  if (lines.length <= length) return lines;
  return [...lines.slice(0, length - 1), line(`  … ${lines.length - length + 1} more`, "dim")];
}

function silenceLines({ doors, at }: Picture, silences: ReadonlyMap<string, number>): readonly Line[] {
  return doors.flatMap(({ door, problem }) => {
    const since = silences.get(door);
    return since === undefined
      ? []
      : [line(`  ${door} since ${clockOf(since)} (${duration(at - since)}): ${problem ?? ""}`, "yellow")];
  });
}

function voterLines(voters: readonly VoterRow[]): readonly Line[] {
  if (voters.length === 0) return [];
  const styles = voters.map(({ alive, suspect }): Style | null => (alive === false ? "red" : suspect ? "yellow" : null));
  return table(voters, styles, {
    NAME: ({ name }) => name,
    STATE: ({ alive, suspect }) => (alive === null ? "?" : `${alive ? "up" : "DOWN"}${suspect ? ", suspect" : ""}`),
    MATCH: ({ matchIndex }) => matchIndex ?? "-",
    LAG: ({ lag }) => (lag === null ? "-" : String(lag)),
  });
}

function providerLines(members: readonly MemberRow[]): readonly Line[] {
  const groups = [...Map.groupBy(members, ({ provider }) => provider || "-")].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (groups.length < 2) return [];
  const count = (those: readonly MemberRow[], ...states: readonly string[]): string =>
    String(those.filter(({ state }) => states.includes(state)).length);
  const sum = (those: readonly MemberRow[], of: (member: MemberRow) => number | null): string =>
    those.every((member) => of(member) === null)
      ? "-"
      : String(Math.round(10 * those.reduce((all, member) => all + (of(member) ?? 0), 0)) / 10);
  const styles = groups.map(([, those]): Style | null => worstStyle(those));
  return table(groups, styles, {
    PROVIDER: ([provider]) => provider,
    ALIVE: ([, those]) => count(those, "alive"),
    SUSPECT: ([, those]) => count(those, "suspect"),
    DEAD: ([, those]) => count(those, "dead"),
    GONE: ([, those]) => count(those, "left", "removed"),
    "NOT DIRECT": ([, those]) => String(those.filter(isRoundabout).length),
    "RTT (MEDIAN)": ([, those]) => rtt(median(those.flatMap(({ rttMs }) => rttMs ?? []))),
    "FLAPS/H": ([, those]) => sum(those, ({ flapsPerHour }) => flapsPerHour),
    CLAIMS: ([, those]) => sum(those, ({ claims }) => claims),
    LOCKS: ([, those]) => sum(those, ({ locks }) => locks),
  });
}

function memberLines(members: readonly MemberRow[]): readonly Line[] {
  if (members.length === 0) return [];
  const sorted = members.toSorted((a, b) => severity(b) - severity(a) || (a.id < b.id ? -1 : 1));
  return table(sorted, sorted.map(styleOf), {
    NODE: ({ id }) => id,
    STATE: ({ state, degraded, scheduling }) =>
      [
        state,
        ...(degraded ? ["degraded"] : []),
        ...(scheduling === null || scheduling === "OPEN" ? [] : [scheduling.toLowerCase()]),
      ].join(", "),
    FOR: ({ forMs }) => duration(forMs),
    PATH: ({ path }) => path,
    RTT: ({ rttMs }) => rtt(rttMs),
    "FLAPS/H": ({ flapsPerHour }) => String(flapsPerHour ?? "-"),
    CLAIMS: ({ claims }) => String(claims ?? "-"),
    LOCKS: ({ locks }) => String(locks ?? "-"),
    PROVIDER: ({ provider }) => provider || "-",
  });
}

function queueLines(queues: readonly QueueRow[]): readonly Line[] {
  if (queues.length === 0) return [];
  const states = [...new Set(queues.flatMap((queue) => Object.keys(queue.states)))];
  const columns = Object.fromEntries(
    states.map((state) => [state, ({ states: counts }: QueueRow) => String(counts[state] ?? 0)]),
  );
  return table(queues, [], { QUEUE: ({ name }) => name, ...columns });
}

/** The newest first, so that what does not fit is old. */
function eventLines(events: readonly EventRow[]): readonly Line[] {
  return events
    .toSorted((a, b) => b.at - a.at)
    .slice(0, MAX_EVENTS)
    .map(({ at, level, text }) => {
      const style: Style | null = level === "error" ? "red" : level === "warn" ? "yellow" : null;
      return line(`  ${clockOf(at)}  ${text}`, style);
    });
}

const MAX_EVENTS = 10;

function severity(member: MemberRow): number {
  const { state, degraded, flapsPerHour, scheduling } = member;
  if (state === "suspect") return 5;
  if (state === "dead") return 4;
  if (state === "left" || state === "removed") return 0;
  if (degraded || (flapsPerHour ?? 0) > 0) return 3;
  return isRoundabout(member) || (scheduling !== null && scheduling !== "OPEN") ? 2 : 1;
}

function styleOf(member: MemberRow): Style | null {
  const rank = severity(member);
  return rank === 4 ? "red" : rank >= 3 ? "yellow" : rank === 0 ? "dim" : null;
}

function worstStyle(members: readonly MemberRow[]): Style | null {
  const styles = members.map(styleOf);
  return styles.includes("red") ? "red" : styles.includes("yellow") ? "yellow" : null;
}

function isRoundabout({ path, state }: MemberRow): boolean {
  return (state === "alive" || state === "suspect") && (path.startsWith("relay") || path.startsWith("stream"));
}

function table<T>(
  values: readonly T[],
  styles: readonly (Style | null)[],
  columns: Readonly<Record<string, (value: T) => string>>,
): readonly Line[] {
  return tableLines(values, columns).map((text, at) => line(`  ${text}`, at === 0 ? "dim" : (styles[at - 1] ?? null)));
}

function median(values: readonly number[]): number | null {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? null;
}

function rtt(ms: number | null): string {
  return ms === null ? "-" : `${ms} ms`;
}

/** Whatever a node says of itself or others passes here. */
function line(text: string, style: Style | null = null): Line {
  return { text: oneLine(text), style };
}

/** A line that wraps would push the rest out of place. */
function cut(lines: readonly Line[], { columns, rows }: Room): readonly Line[] {
  const fitting = rows === null ? lines : lines.slice(0, rows);
  return fitting.map(({ text, style }) => ({ text: text.length > columns ? `${text.slice(0, columns - 1)}…` : text, style }));
}

/** As the logs spell it. */
function timeOf(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

function clockOf(at: number): string {
  return timeOf(at).slice(11);
}
