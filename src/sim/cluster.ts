import { ClusterId, ClusterTimeMs, LogIndex, NO_INDEX, type NodeId, Term, WallTimeMs } from "#kernel";
import type { Disk, Log } from "#ports";
import { type Message, type RaftStatus, encodeConfiguration, settledConfiguration } from "#raft";
import type { RunningReplica } from "#replica";
import {
  type DataDirectoryIdentity,
  PeerDirectories,
  type PeerVerdict,
  type ShownDirectory,
  StorageError,
  countStart,
  newIdentity,
  openWal,
  readIdentity,
  writeIdentity,
} from "#storage";
import { type Voter, startVoter } from "#node";
import { SimDisk, DiskError } from "./disk/disk.ts";
import { durableLogs } from "./disk/durable-log.ts";
import { DirectoryRefused, Introduction } from "./introduction.ts";
import { Network } from "./network.ts";
import type { Observer, Report, WorldView } from "./observer.ts";
import { fanOut } from "./observers.ts";
import { probeOf } from "./probe.ts";
import { SimProcess } from "./process.ts";
import { nodeName, type RunConfig } from "./swarm.ts";
import { SimClock } from "./time/clock.ts";
import type { Dice } from "./time/random.ts";
import type { Scheduler } from "./time/scheduler.ts";
import type { Caller } from "./world.ts";

const CLUSTER = ClusterId("simulated");
/** Of a copy's process: no life of the node itself. */
const COPY_LIFE = 1_000_000;
const NO_DIRECTORY: ShownDirectory = { directoryId: "", starts: 0, incarnation: 0, admission: NO_INDEX };
const EPOCH_MS = 1_750_000_000_000;

/** What stays when a process dies. */
export interface Machine {
  readonly id: NodeId;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  process: SimProcess | null;
  lives: number;
  slowness: number;
  /** It will not come back as it is: its data are lost, or it refused them with good reason. */
  isLost: boolean;
  /** It has come with an empty data directory: its peers are right to refuse it, until it is removed and added again. */
  wasWiped: boolean;
  /** Clients cannot reach it. */
  isHidden: boolean;
}

export interface ClusterPorts {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly report: Report;
  readonly count: (counter: string) => void;
  readonly mix: (value: number) => void;
  readonly overTheWire: (message: Message) => Message;
}

/** All machines of a run, the network between them, and what may be done to a process from outside. */
export class Cluster implements WorldView {
  readonly config: RunConfig;
  readonly network: Network;
  readonly nodes: readonly NodeId[];
  readonly machines: ReadonlyMap<NodeId, Machine>;
  readonly durable: WorldView["durable"];
  /** The supervisor: whether and when a dead process is started again. Set by who injects the faults. */
  onDeath: (machine: Machine) => void = () => {};
  readonly #ports: ClusterPorts;
  #observer: Required<Observer> = fanOut([]);
  readonly #clientDice: Dice;

  constructor(config: RunConfig, ports: ClusterPorts) {
    this.config = config;
    this.#ports = ports;
    const { scheduler, dice, count } = ports;
    this.#clientDice = dice.fork("client network");
    this.nodes = Array.from({ length: config.voters + config.spares }, (_, at) => nodeName(at));
    this.machines = new Map(
      this.nodes.map((id) => {
        const own = dice.fork(`machine ${id}`);
        const machine: Machine = {
          id,
          disk: new SimDisk(config.disk, { scheduler, dice: own.fork("disk"), count }),
          clock: new SimClock(own.between(1_000, 1e7), EPOCH_MS),
          process: null,
          lives: 0,
          slowness: 1,
          isLost: false,
          wasWiped: false,
          isHidden: false,
        };
        return [id, machine];
      }),
    );
    this.durable = durableLogs(new Map([...this.machines].map(([id, { disk }]) => [id, disk])));
    this.network = new Network(this.nodes, config.network, {
      scheduler,
      dice: dice.fork("network"),
      processOf: (node) => this.machines.get(node)!.process,
      onSent: (from, to, message) => {
        ports.mix(message.term * 31 + message.kind.length);
        this.#observer.sent(from, to, message);
      },
      count,
      overTheWire: ports.overTheWire,
    });
  }

  observe(observers: readonly Observer[]): void {
    this.#observer = fanOut(observers);
  }

  get observer(): Required<Observer> {
    return this.#observer;
  }

  get electionMs(): number {
    return this.config.timing.electionMs;
  }

  get nowMs(): number {
    return this.#ports.scheduler.nowMs;
  }

  isUp(node: NodeId): boolean {
    return this.machine(node).process !== null;
  }

  status(node: NodeId): RaftStatus | null {
    return this.machine(node).process?.status?.() ?? null;
  }

  count(counter: string): void {
    this.#ports.count(counter);
  }

  machine(node: NodeId): Machine {
    return this.machines.get(node)!;
  }

  /** The first voter gets the first entry, as `cluster init` writes it; then everybody starts. */
  async start(): Promise<void> {
    const [first] = this.nodes;
    const disk = this.machine(first!).disk.open({ effect: () => true, enter: (resume) => resume(), slowness: 1 });
    await writeIdentity(disk, newIdentity(CLUSTER, first!, this.#directoryId(first!), false));
    const { wal } = await openWal(disk, { clusterId: CLUSTER, nodeId: first!, segmentBytes: this.config.raft.segmentBytes });
    const voters = this.nodes.slice(0, this.config.voters);
    await wal.append({
      entries: [
        {
          term: Term(1),
          index: LogIndex(1),
          kind: "configuration",
          clusterTimeMs: ClusterTimeMs(0),
          wallTimeMs: WallTimeMs(0),
          data: encodeConfiguration(settledConfiguration(voters)),
        },
      ],
      hardState: { term: Term(1), votedFor: null },
    });
    await wal.close();
    for (const node of this.nodes) this.boot(node);
  }

  boot(node: NodeId): void {
    const machine = this.machine(node);
    if (machine.process !== null || machine.isLost) return;
    machine.lives += 1;
    const { scheduler } = this.#ports;
    const process = new SimProcess(
      { node, life: machine.lives },
      { scheduler, clock: machine.clock },
      {
        onDoomed: (doomed) => this.kill(doomed.node, { power: doomed.losesPower }),
        onUncaught: (dying, error) => this.#failed(dying, error),
      },
    );
    process.slowness = machine.slowness;
    machine.process = process;
    this.#startVoter(process, machine).then(
      (voter) => {
        process.voter = voter;
      },
      (error: unknown) => this.#failed(process, error),
    );
  }

  async #startVoter(process: SimProcess, machine: Machine): Promise<Voter> {
    const { dice } = this.#ports;
    const { timing, raft, sessions, election } = this.config;
    const { node } = process;
    const disk = machine.disk.open(process);
    const identity = await this.#identify(disk, node);
    return await startVoter(
      { nodeId: node, clusterId: CLUSTER, isLatecomer: identity.isLatecomer, timing, raft, sessions, election },
      {
        disk,
        clock: process.clock,
        timers: process.timers,
        random: dice.fork(`life ${machine.lives} of ${node}`).next,
        log: this.#log(),
        openPeers: async (events, { membership }) => {
          const directories = await PeerDirectories.open(disk, membership);
          const { directoryId, starts } = await countStart(disk, identity, () => this.#directoryId(node));
          const own = {
            node,
            directory: { directoryId, starts, incarnation: process.life },
            configuration: () => membership().configuration,
            configuredVoters: this.nodes.slice(0, this.config.voters),
          };
          process.introduction = new Introduction(own, directories, (error) => this.#failed(process, error));
          return this.network.open(process, events);
        },
        onFatal: (error) => this.#failed(process, error),
        meter: silentMeter,
        probe: probeOf(process, this.#observer),
      },
    );
  }

  /** An empty directory becomes this node's; whether its peers take it for that is theirs to say. Only at the beginning nobody can have promised anything. */
  async #identify(disk: Disk, node: NodeId): Promise<DataDirectoryIdentity> {
    const identity = await readIdentity(disk);
    if (identity !== null) return identity;
    const isFounder = this.machine(node).lives === 1 && this.nodes.indexOf(node) < this.config.voters;
    const joined = newIdentity(CLUSTER, node, this.#directoryId(node), !isFounder);
    await writeIdentity(disk, joined);
    return joined;
  }

  #directoryId(node: NodeId): string {
    return `${node} ${this.machine(node).lives}`;
  }

  /**
   * Someone starts a copy of this node's data directory beside it, after its origin has started once more. Whoever knows the
   * origin must refuse it. It is not a process of the run but in this: it counts its start and knocks.
   */
  async startCopy(node: NodeId, copy: SimDisk): Promise<void> {
    const machine = this.machine(node);
    const { scheduler, report } = this.#ports;
    const events = { onDoomed: () => {}, onUncaught: (_: SimProcess, error: unknown) => report("simulator", String(error)) };
    const process = new SimProcess({ node, life: COPY_LIFE + machine.lives }, { scheduler, clock: machine.clock }, events);
    const disk = copy.open(process);
    const identity = await readIdentity(disk);
    if (identity === null) return;
    const { directoryId, starts } = await countStart(disk, identity, () => this.#directoryId(node));
    const nobody = { index: NO_INDEX, configuration: settledConfiguration([]) };
    const directories = await PeerDirectories.open(disk, () => nobody);
    const own = {
      node,
      directory: { directoryId, starts, incarnation: process.life },
      configuration: () => nobody.configuration,
      configuredVoters: [],
    };
    process.introduction = new Introduction(own, directories, () => {});
    for (const peer of this.nodes) {
      const [origin, judge] = [machine.process, this.machine(peer).process];
      if (peer === node || origin === null || judge === null || !this.network.isKnown(origin, judge)) continue;
      // Who is no member is nobody's to remember.
      const isRemembered = judge.introduction?.directories.judge(node, NO_DIRECTORY).kind === "refused";
      if (!isRemembered) continue;
      const onVerdict = (verdict: PeerVerdict): void => {
        if (verdict.kind === "refused" && verdict.fault === "cloned") this.count("clone refused");
        else report("recovery", `${peer} takes a copy of ${node}'s data directory for ${node}`);
      };
      this.network.knock(process, judge, onVerdict, () => {});
    }
  }

  /** A disk that holds what a power cut would leave of this node's. */
  copyOf(node: NodeId, dice: Dice): SimDisk {
    const copy = new SimDisk(this.config.disk, { scheduler: this.#ports.scheduler, dice, count: () => {} });
    copy.cloneFrom(this.machine(node).disk);
    return copy;
  }

  /** From outside: `kill -9`, or the machine loses power and with it what was not synced. */
  kill(node: NodeId, { power }: { readonly power: boolean }): void {
    const machine = this.machine(node);
    if (machine.process === null) return;
    this.#bury(machine, machine.process, power, null);
  }

  pause(node: NodeId): void {
    this.machine(node).process?.pause();
  }

  /** As SIGTERM does: the lead is handed over, the log closed, and the process ends by itself. */
  stop(node: NodeId): void {
    const { process } = this.machine(node);
    const voter = process?.voter ?? null;
    if (process === null || voter === null) return;
    const ended = (): void => {
      if (process.isAlive) this.#bury(this.machine(node), process, false, null);
    };
    const leads = this.status(node)?.role === "leader";
    process.enter(() => {
      const handed = voter.handOver().then(() => {
        if (leads && this.status(node)?.role !== "leader") this.count("handed over before a stop");
      });
      void handed.then(() => voter.close()).then(ended, ended);
    });
  }

  resume(node: NodeId): void {
    this.machine(node).process?.resume();
  }

  setSlowness(node: NodeId, slowness: number): void {
    const machine = this.machine(node);
    machine.slowness = slowness;
    if (machine.process !== null) machine.process.slowness = slowness;
  }

  call<T>(
    node: NodeId,
    serve: (replica: RunningReplica, answer: (value: T) => void) => void | (() => void),
    caller: Caller<T>,
  ): () => void {
    const { scheduler } = this.#ports;
    const machine = this.machine(node);
    let isListening = true;
    let isBroken = false;
    let lastArrivalMs = 0;
    let leave = (): void => {};
    // A stream keeps its order; and once something of it is swallowed, what follows is as well.
    const way = (run: () => void): void => {
      lastArrivalMs = Math.max(lastArrivalMs, scheduler.nowMs + this.#clientDelayMs());
      scheduler.at(lastArrivalMs, () => {
        isBroken ||= machine.isHidden;
        if (isListening && !isBroken) run();
      });
    };
    const breaks = (how: "refused" | "reset"): void => {
      if (isBroken) return;
      isBroken = true;
      scheduler.after(this.#clientDelayMs(), () => {
        if (isListening) caller.onBroken(how);
      });
    };
    way(() => {
      const { process } = machine;
      if (process === null || process.voter === null) return breaks("refused");
      process.enter(() => {
        const onDeath = (): void => breaks("reset");
        this.#onEnd(process, onDeath);
        const stop = serve(process.voter!.replica, (value) => {
          if (process.isAlive) way(() => caller.onAnswer(value));
        });
        leave = () => {
          this.#callers.get(process)?.delete(onDeath);
          if (stop !== undefined) scheduler.after(this.#clientDelayMs(), () => process.isAlive && process.enter(stop));
        };
        if (!isListening) leave();
      });
    });
    return () => {
      if (!isListening) return;
      isListening = false;
      leave();
    };
  }

  #clientDelayMs(): number {
    return 0.1 + this.#clientDice.exponential(this.config.network.delayMeanMs);
  }

  readonly #callers = new Map<SimProcess, Set<() => void>>();

  #onEnd(process: SimProcess, run: () => void): void {
    const known = this.#callers.get(process);
    if (known === undefined) this.#callers.set(process, new Set([run]));
    else known.add(run);
  }

  /** The process ends by itself: an error that it calls fatal, a start that it refuses, an exception that nothing caught. */
  #failed(process: SimProcess, error: unknown): void {
    const machine = this.machine(process.node);
    if (machine.process !== process) return;
    const why = error instanceof Error ? error : new Error(String(error));
    const excuse = excuseFor(why, machine);
    if (excuse === null) {
      const phase = process.voter === null ? "refuses to start" : "ends";
      this.#ports.report("recovery", `${process.node} ${phase} without a fault that explains it: ${describe(why)}`);
    } else {
      this.#ports.count(`process ended: ${excuse}`);
      if (excuse === "damaged data" || excuse === "wiped directory refused") machine.isLost = true;
    }
    this.#bury(machine, process, false, why);
  }

  #bury(machine: Machine, process: SimProcess, power: boolean, why: Error | null): void {
    process.die();
    machine.process = null;
    machine.disk.loseProcess();
    if (power) machine.disk.losePower();
    this.network.died(process, power);
    for (const end of this.#callers.get(process) ?? []) end();
    this.#callers.delete(process);
    this.#observer.stopped(machine.id, why);
    this.onDeath(machine);
  }

  #log(): Log {
    const quiet = (): void => {};
    const log: Log = {
      debug: (mark, fields) => {
        this.#ports.count(`mark: ${mark}`);
        if (mark === "transfer started") this.#ports.count(`transfer: ${String(fields?.["cause"])}`);
      },
      info: quiet,
      warn: (message) => this.#ports.count(`warning: ${message}`),
      error: (message) => this.#ports.count(`error: ${message}`),
      child: () => log,
    };
    return log;
  }
}

/** The injected fault that makes this end the right one; null when there is none. */
function excuseFor(error: Error, { disk, wasWiped }: Machine): string | null {
  if (error instanceof DirectoryRefused) return wasWiped ? "wiped directory refused" : null;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DiskError && cause.code !== "ENOENT") return cause.code;
    if (cause instanceof StorageError && (cause.code === "CORRUPT" || cause.code === "AMBIGUOUS") && disk.damaged) {
      return "damaged data";
    }
  }
  return null;
}

function describe(error: Error): string {
  const causes: string[] = [];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) causes.push(`${cause.name}: ${cause.message}`);
  return causes.join(" ← ");
}

const silentMeter = { synced: () => {}, proposed: () => {}, proposalsRefused: () => {}, committed: () => {}, marked: () => {} };
