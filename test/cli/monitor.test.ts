import assert from "node:assert/strict";
import { test } from "node:test";
import { afterLook } from "../../src/cli/monitor/changes.ts";
import { type FrameInput, frameOf, type Room } from "../../src/cli/monitor/frame.ts";
import { pictureOf } from "../../src/cli/monitor/picture.ts";
import { Terminal } from "../../src/cli/monitor/terminal.ts";
import { answered, membershipBody, nodesBody, NOW, silent, sixMembers, statusBody } from "./cluster-bodies.ts";

const endless: Room = { columns: Infinity, rows: null };
const leader = answered("hetzner-cpu1", statusBody("hetzner-cpu1"));
const follower = answered("hetzner-cpu2", statusBody("hetzner-cpu2"));
const calm = afterLook(null, pictureOf([follower, leader], nodesBody(sixMembers), NOW));

const leaderless = statusBody("hetzner-cpu2", {
  role: "candidate",
  leader_id: null,
  term: "13",
  cluster_health: "critical",
  quorum_ok: false,
  votes: "1/2/3",
  reasons: ["has_leader: no leader is known"],
  voters: {
    "hetzner-cpu1": { alive: false, match_index: null, suspect: null },
    "hetzner-cpu2": { alive: true, match_index: "91234", suspect: false },
    "nebius-h100-3": { alive: false, match_index: null, suspect: null },
  },
  membership: membershipBody({
    converged: false,
    digest: "00000001",
    agreeing: 1,
    health_multiplier: 5,
    partition: { here: ["hetzner-cpu2"], lost: ["hetzner-cpu1", "nebius-h100-3"] },
  }),
});

function screen(input: FrameInput, room: Room = endless): string {
  return frameOf(input, room)
    .map(({ text }) => text)
    .join("\n");
}

test("a calm cluster on one screen, by the leader's word", () => {
  assert.equal(
    screen(calm),
    `cluster hex-1  2026-01-25T17:04:05Z  2 of 2 nodes answer
hetzner-cpu1 leads, term 12; quorum ok (3/2/3 reachable/needed/all); health healthy
commit 91234, applied 91234; alive peers 5 of 6; told by hetzner-cpu1 (leader)
members (swim): 5 alive, 1 suspect; digest 5f3a00c1 held by 4 of 4 peers heard lately; converged
work: 5 waiting, 3 claimed in 2 queues; 1 locks held, 2 waiting for one; 3 jobs; 5 sessions
VOTERS
  NAME           STATE  MATCH  LAG
  hetzner-cpu1   up     91240  0
  hetzner-cpu2   up     91240  0
  nebius-h100-3  up     91200  40
PROVIDERS
  PROVIDER  ALIVE  SUSPECT  DEAD  GONE  NOT DIRECT  RTT (MEDIAN)  FLAPS/H  CLAIMS  LOCKS
  hetzner   2      0        0     0     0           21.4 ms       0        0       0
  lambda    2      0        0     0     0           21.4 ms       0        2       1
  nebius    1      0        0     0     0           21.4 ms       0        0       0
  vast      0      1        0     0     1           180.2 ms      1.3      0       0
MEMBERS
  NODE            STATE            FOR  PATH                              RTT       FLAPS/H  CLAIMS  LOCKS  PROVIDER
  vast-29118471   suspect          3 s  relay hetzner-cpu1 nebius-h100-3  180.2 ms  1.3      0       0      vast
  lambda-gh200-2  alive, draining  2 h  direct                            21.4 ms   0        0       0      lambda
  hetzner-cpu1    alive            2 h  direct                            21.4 ms   0        0       0      hetzner
  hetzner-cpu2    alive            2 h  direct                            21.4 ms   0        0       0      hetzner
  lambda-gh200-1  alive            2 h  direct                            21.4 ms   0        2       1      lambda
  nebius-h100-3   alive            2 h  direct                            21.4 ms   0        0       0      nebius
QUEUES
  QUEUE     PENDING  CLAIMED  RUNNING
  selfplay  4        1        2
  training  1        0        0
EVENTS
  17:03:00Z  member suspected member=vast-29118471 accuser=hetzner-cpu2`,
  );
});

test("without a leader the screen says since when, what was lost, who does not answer, and what the monitor saw change", () => {
  const answers = [silent("hetzner-cpu1"), answered("hetzner-cpu2", leaderless)];
  const first = afterLook(calm, pictureOf(answers, null, NOW + 2_000));
  const second = afterLook(first, pictureOf(answers, null, NOW + 62_000));
  assert.equal(
    screen(second),
    `cluster hex-1  2026-01-25T17:05:07Z  1 of 2 nodes answer
NO LEADER since 17:04:07Z (60 s), term 13; quorum LOST (1/2/3 reachable/needed/all); health critical
commit 91234, applied 91234; alive peers 5 of 6; told by hetzner-cpu2 (candidate)
members (swim): none told; digest 00000001 held by 1 of 4 peers heard lately; NOT CONVERGED
work: 5 waiting, 3 claimed in 2 queues; 1 locks held, 2 waiting for one; 3 jobs; 5 sessions
ALARMS
  voter hetzner-cpu1 is not reached by hetzner-cpu2
  voter nebius-h100-3 is not reached by hetzner-cpu2
  hetzner-cpu2: has_leader: no leader is known
  hetzner-cpu2: its own health is bad (multiplier 5): its verdicts come late
  hetzner-cpu2: the network looks cut; lost hetzner-cpu1, nebius-h100-3
NOT ANSWERING
  hetzner-cpu1 since 17:04:07Z (60 s): ECONNREFUSED
VOTERS
  NAME           STATE  MATCH  LAG
  hetzner-cpu1   DOWN   -      -
  hetzner-cpu2   up     91234  -
  nebius-h100-3  DOWN   -      -
QUEUES
  QUEUE     PENDING  CLAIMED  RUNNING
  selfplay  4        1        2
  training  1        0        0
EVENTS
  17:04:07Z  no leader any more; it was hetzner-cpu1
  17:04:07Z  quorum lost: 1/2/3
  17:04:07Z  hetzner-cpu1 does not answer: ECONNREFUSED`,
  );
});

test("while nobody answers the last frame stays, greyed, and the first lines say since when; then it goes on", () => {
  const none = [silent("hetzner-cpu1"), silent("hetzner-cpu2", "no answer within 2 s")];
  const gone = afterLook(calm, pictureOf(none, null, NOW + 12_000));
  const [top, banner, ...rest] = frameOf(gone, endless);
  assert.equal(top?.text, "cluster hex-1  2026-01-25T17:04:17Z  0 of 2 nodes answer");
  assert.deepEqual(banner, {
    text: "NOBODY ANSWERS since 17:04:17Z (0 s); below is what was heard last, 12 s ago",
    style: "red",
  });
  assert.ok(rest.every(({ style }) => style === "dim"));
  assert.ok(rest.some(({ text }) => text === "  nebius-h100-3  up     91200  40"));
  const back = frameOf(afterLook(gone, pictureOf([leader, follower], nodesBody(sixMembers), NOW + 20_000)), endless);
  assert.equal(back[1]?.style, "green");
  assert.ok(back.some(({ text }) => text === "  17:04:25Z  hetzner-cpu2 answers again"));
  const never = afterLook(null, pictureOf([silent("127.0.0.1:8770")], null, NOW));
  assert.equal(
    screen(never),
    `2026-01-25T17:04:05Z  0 of 1 nodes answer
NOBODY ANSWERS since 17:04:05Z (0 s)
  127.0.0.1:8770 since 17:04:05Z (0 s): ECONNREFUSED`,
  );
});

test("nodes that name different leaders, and those that hold another view of the members, are alarms", () => {
  const odd = statusBody("local-mac", {
    leader_id: "local-mac",
    term: "11",
    membership: membershipBody({ digest: "0badcafe" }),
  });
  const { alarms, leader: shown } = pictureOf([answered("local-mac", odd), leader, follower], null, NOW);
  assert.equal(shown, "hetzner-cpu1", "the higher term is the newer word");
  assert.deepEqual(alarms, [
    "nodes name different leaders: local-mac say local-mac; hetzner-cpu1 say hetzner-cpu1, hetzner-cpu2",
    "local-mac: another view of the members than 2 others",
  ]);
});

test("members whose files list other voters than that of the node that tells are an alarm", () => {
  const status = statusBody("hetzner-cpu1", { membership: membershipBody({ other_voters: ["vast-29118471"] }) });
  const { alarms } = pictureOf([answered("hetzner-cpu1", status), follower], null, NOW);
  assert.deepEqual(alarms, ["vast-29118471: other voters in the configuration than on hetzner-cpu1"]);
});

test("a small terminal keeps what decides and names what it leaves out; nothing wraps", () => {
  const many = Array.from({ length: 30 }, (_, at) => ({
    id: `lambda-gh200-${at + 3}`,
    provider: "lambda",
    more: at === 20 ? { state: "dead" } : {},
  }));
  const crowd = afterLook(null, pictureOf([leader, silent("vast-1")], nodesBody([...many, ...sixMembers]), NOW));
  for (const rows of [24, 40, 60]) {
    const lines = screen(crowd, { columns: 80, rows }).split("\n");
    assert.ok(lines.length <= rows, `${lines.length} lines on ${rows}`);
    assert.ok(lines.every((line) => line.length <= 80));
    assert.match(lines[1]!, /^hetzner-cpu1 leads, term 12; quorum ok/);
    const at = lines.indexOf("MEMBERS");
    assert.match(lines[at + 2]!, /^ {2}vast-29118471 +suspect /, "the sick first");
    assert.match(lines[at + 3]!, /^ {2}lambda-gh200-23 +dead /);
    if (rows < 60) assert.ok(lines.some((line) => /^ {2}… \d+ more$/.test(line)));
  }
});

test("a node without a detector, or of another version, shows what it has", () => {
  const bare = answered("voter-1", {
    node_id: "voter-1",
    role: "leader",
    leader_id: "voter-1",
    quorum_ok: true,
    cluster_health: "healthy",
  });
  assert.match(screen(afterLook(null, pictureOf([bare], null, NOW))), /^members: no detector runs on the node that told this$/m);
});

test("what a node says cannot move the cursor", () => {
  const evil = nodesBody([{ id: "a", provider: "\u001b[2J" }], {
    events: [{ at_wall_ms: NOW, level: "info", message: "x\n\u001b[31m", fields: {} }],
  });
  const reasons = ["\u001b[H"];
  const status = statusBody("hetzner-cpu1", { reasons, cluster_id: "c\r\u001b[A", leader_id: "\u001b[2J" });
  const text = screen(afterLook(null, pictureOf([answered("x", status)], evil, NOW)));
  assert.doesNotMatch(text.replaceAll("\n", ""), /\p{Cc}/u);
});

test("a terminal gets one screen of its own that is drawn over and given back; anything else gets plain frames", () => {
  const drawn = (isTTY: boolean, env: Record<string, string>): string => {
    let written = "";
    const stream = { isTTY, columns: 80, rows: 24, hasColors: () => true, write: (text: string) => ((written += text), true) };
    const terminal = new Terminal(stream as unknown as NodeJS.WriteStream, env);
    terminal.open();
    terminal.draw([{ text: "one", style: "red" }]);
    terminal.draw([{ text: "two", style: null }]);
    terminal.close();
    terminal.close();
    return written;
  };
  assert.equal(
    drawn(true, {}),
    "\x1b[?1049h\x1b[?25l\x1b[H\x1b[31mone\x1b[39m\x1b[K\x1b[J\x1b[Htwo\x1b[K\x1b[J\x1b[?25h\x1b[?1049l",
  );
  assert.ok(!drawn(true, { NO_COLOR: "1" }).includes("\x1b[31m"));
  assert.equal(drawn(false, {}), "one\n\ntwo\n");
});
