import { z } from "zod";
import { assertNever } from "#kernel";
import { httpPollKnobs, type Knob, swimKnobs } from "#membership/core";
import { formatDuration, parseBytes, parseDuration } from "./quantities.ts";

/** Shapes only; how the values relate to each other is checked in relations.ts. Every message ends up behind a path. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIB = 1_048_576;

const text = (max = 1_024) =>
  z
    .string()
    .min(1, "must not be empty")
    .max(max, `must have at most ${max} characters`)
    // A newline in an id or path ends up in logs, headers and file names.
    .refine((value) => !/\p{Cc}/u.test(value), "must not contain control characters");

const duration = (minMs: number, maxMs: number) =>
  z.unknown().transform((value, context) => {
    const ms = parseDuration(value);
    if (ms !== null && ms >= minMs && ms <= maxMs) return ms;
    const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
    const message =
      ms === null
        ? `${show(value)} is not a duration: write milliseconds or a number with ms, s, m or h (250, "250ms", "2s"), ${range}`
        : `${show(value)} is outside ${range}`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

const bytes = (min: number, max: number) =>
  z.unknown().transform((value, context) => {
    const size = parseBytes(value);
    if (size !== null && size >= min && size <= max) return size;
    const what = size === null ? 'is not a size: write bytes or a number with KiB, MiB or GiB ("64MiB")' : "is out of range";
    context.addIssue({ code: "custom", message: `${show(value)} ${what}, ${min} to ${max} bytes` });
    return z.NEVER;
  });

const count = (min: number, max: number) =>
  z.unknown().transform((value, context) => {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    context.addIssue({ code: "custom", message: `${show(value)} must be a whole number from ${min} to ${max}` });
    return z.NEVER;
  });

const port = z.unknown().transform((value, context) => {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= 65_535) return value;
  context.addIssue({ code: "custom", message: `${show(value)} is not a port: it must be a whole number from 1 to 65535` });
  return z.NEVER;
});

/** The runbooks' election block counts in seconds, unlike everything of ours. */
const seconds = z.unknown().transform((value, context) => {
  const ms = typeof value === "number" ? parseDuration(value * 1_000) : parseDuration(value);
  if (ms !== null && ms >= 1_000 && ms <= HOUR) return ms;
  context.addIssue({ code: "custom", message: `${show(value)} must be a number of seconds, 1 to 3600` });
  return z.NEVER;
});

/** `[http]` allows plain HTTP on the status port alone: the runbooks curl it from every machine, over an encrypted mesh. */
const insecure = z.unknown().transform((value, context) => {
  if (typeof value === "boolean") return { http: value, grpc: value };
  if (Array.isArray(value) && value.length === 1 && value[0] === "http") return { http: true, grpc: false };
  context.addIssue({ code: "custom", message: `${show(value)} must be true, false or [http]` });
  return z.NEVER;
});

const labels = z.record(text(63), text(256));

const capabilities = z.strictObject({
  gpu_count: count(0, 1_024).optional(),
  gpu_memory_mib: count(0, 2 ** 40).optional(),
  gpu_model: z.string().max(64).optional(),
  cuda: count(0, 1_000_000).optional(),
  cpu: count(1, 65_536).optional(),
  memory_mib: count(0, 2 ** 40).optional(),
  disk_mib: count(0, 2 ** 40).optional(),
  labels: labels.optional(),
});

const handler = z.strictObject({
  command: z.array(text(4_096), "must be a list: the program and its arguments, one per item").min(1, "must name a program"),
  working_directory: text(4_096).optional(),
  nice: count(0, 19).optional(),
  timeout: duration(1_000, 30 * 24 * HOUR).optional(),
  environment: z.record(z.string().regex(/^[A-Za-z_]\w*$/, "is not the name of an environment variable"), z.string()).optional(),
});

const worker = z.strictObject({
  queues: z.array(text(255)).min(1, "must name at least one queue").max(64, "must name at most 64 queues").optional(),
  slots: count(1, 1_024).optional(),
  ttl: duration(1_000, HOUR).optional(),
  drain_timeout: duration(0, 24 * HOUR).optional(),
  capabilities: capabilities.optional(),
  handlers: z.record(text(255), handler).optional(),
});

const ports = z.strictObject({ http: port.optional(), peer: port.optional(), client: port.optional() });

const tlsFiles = z.strictObject({ ca: text(4_096), cert: text(4_096), key: text(4_096) });
const tls = z.strictObject({ peer: tlsFiles.optional(), client: tlsFiles.optional() });

/** Not `host`: the runbooks read every address of the file with `grep 'host:'`, and a bind address is none of those. */
const listen = z.strictObject({ address: text(253).optional(), http_address: text(253).optional() });

const admin = z.strictObject({ key_file: text(4_096).optional() });

const log = z.strictObject({ level: z.enum(["debug", "info", "warn", "error"]).optional() });

/** A detector's numbers as its own table lists them, so that a knob is declared once. */
type KnobShape<K extends Readonly<Record<string, Knob>>> = {
  readonly [F in keyof K as K[F]["key"]]: z.ZodOptional<z.ZodType<K[F]["unit"] extends "switch" ? boolean : number>>;
};

function knobShape<K extends Readonly<Record<string, Knob>>>(knobs: K): KnobShape<K> {
  const shape: Record<string, z.ZodOptional> = {};
  for (const knob of Object.values(knobs)) shape[knob.key] = knobSchema(knob).optional();
  return shape as KnobShape<K>;
}

function knobSchema({ unit, min, max }: Knob): z.ZodType<number | boolean> {
  switch (unit) {
    case "duration":
      return duration(min, max);
    case "bytes":
      return bytes(min, max);
    case "count":
      return count(min, max);
    case "switch":
      return z.boolean();
    case "share":
    case "factor":
      return z.number().min(min, `must be from ${min} to ${max}`).max(max, `must be from ${min} to ${max}`);
    default:
      return assertNever(unit, "unit");
  }
}

const swim = z.strictObject({
  ...knobShape(swimKnobs),
  // ADR-013's names for three of them, in milliseconds.
  gossip_interval_ms: duration(1, HOUR).optional(),
  ping_timeout_ms: duration(1, HOUR).optional(),
  indirect_ping_count: count(0, 1_000).optional(),
});

const httpPoll = z.strictObject({
  profile: z.enum(["failover", "connectivity"]).optional(),
  ...knobShape(httpPollKnobs),
});

const seed = z.strictObject({
  id: text(64).optional(),
  addrs: z.array(text(300)).min(1, "must name at least one address").max(8, "must name at most 8 addresses"),
});

const membershipOverrides = z.strictObject({
  bind: text(300).optional(),
  advertise: z.array(text(300)).min(1, "must name at least one address").max(8, "must name at most 8 addresses").optional(),
});

/** What one machine may have different from the rest of its cluster. Timing, voters and limits are the cluster's. */
const overrides = z.strictObject({
  data_dir: text(4_096).optional(),
  listen: listen.optional(),
  ports: ports.optional(),
  tls: tls.optional(),
  membership: membershipOverrides.optional(),
  worker: worker.optional(),
  admin: admin.optional(),
  log: log.optional(),
});

/** Other programs read the same inventory, so unknown keys are theirs; these are the ones with a meaning here. */
const host = z.looseObject({
  name: text(64).optional(),
  host: text(253).optional(),
  tailscale_ip: text(45).optional(),
  fallback_host: text(253).optional(),
  port: port.optional(),
  bandwidth_mbps: z.number().positive("must be above 0 (megabytes per second)").optional(),
  role: z.string().optional(),
  provider: text(64)
    .regex(/^[\x20-\x7e]*$/, "must be printable ASCII")
    .optional(),
  ringraft: overrides.optional(),
});

const owned = {
  cluster: z.strictObject({ id: text(64).optional() }).optional(),
  node_id: text(64).optional(),
  data_dir: text(4_096).optional(),
  /** A list with `name` has become a map by the time it gets here (shape.ts). */
  hosts: z.record(z.string(), host),
  voters: z.array(text(64)).optional(),
  voter_nodes: z.array(text(64)).optional(),
  election: z
    .strictObject({
      heartbeat_interval: seconds.optional(),
      peer_timeout: seconds.optional(),
      election_timeout: seconds.optional(),
      preempt: z.boolean().optional(),
    })
    .optional(),
  membership: z
    .strictObject({
      mode: z.enum(["http", "swim", "hybrid"]).optional(),
      label: text(64).optional(),
      key_file: text(4_096).optional(),
      bind: text(300).optional(),
      seeds: z.array(seed).max(100, "must name at most 100 seeds").optional(),
      allow_ids: z.array(text(64)).max(1_000, "must have at most 1000 patterns").optional(),
      allow_cidrs: z.array(text(64)).max(1_000, "must have at most 1000 networks").optional(),
      max_main_stall: duration(5_000, 10 * MINUTE).optional(),
      swim: swim.optional(),
      http_poll: httpPoll.optional(),
    })
    .optional(),
  consensus: z.strictObject({ mode: z.enum(["bully", "raft", "hybrid", "etcd"]).optional() }).optional(),
  timing: z
    .strictObject({
      profile: z.enum(["local", "lan", "mesh", "legacy"]).optional(),
      tick: duration(5, 10_000).optional(),
      heartbeat: duration(10, MINUTE).optional(),
      election: duration(50, 10 * MINUTE).optional(),
    })
    .optional(),
  raft: z
    .strictObject({
      max_message: bytes(64 * 1_024, 3 * MIB).optional(),
      max_inflight: bytes(64 * 1_024, 256 * MIB).optional(),
      max_uncommitted: bytes(MIB, 1_024 * MIB).optional(),
      snapshot_every: count(100, 10_000_000).optional(),
      keep_entries: count(0, 10_000_000).optional(),
      segment: bytes(MIB, 1_024 * MIB).optional(),
      min_free: bytes(0, 1_024 * 1_024 * MIB).optional(),
      lease_reads: z.boolean().optional(),
      clock_drift: z
        .number()
        .min(0, "must be a share from 0 to 1: 0.1 is 10 %")
        .max(1, "must be a share from 0 to 1: 0.1 is 10 %")
        .optional(),
    })
    .optional(),
  sessions: z
    .strictObject({
      default_ttl: duration(1_000, HOUR).optional(),
      election_grace: duration(0, HOUR).optional(),
      renew_interval: duration(100, 10 * MINUTE).optional(),
    })
    .optional(),
  listen: listen.optional(),
  ports: ports.optional(),
  tls: tls.optional(),
  insecure: insecure.optional(),
  worker: worker.optional(),
  admin: admin.optional(),
  log: log.optional(),
} as const;

export const fileShape = z.looseObject(owned);

/** Keys of a host entry that mean something here. */
export const hostKeys: readonly string[] = Object.keys(host.shape);

export type FileShape = z.output<typeof fileShape>;
export type HostShape = z.output<typeof host>;
export type WorkerShape = z.output<typeof worker>;

/** A value for a message: short, on one line, never a whole structure. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a section";
  const plain = typeof value === "number" || typeof value === "boolean" || typeof value === "bigint";
  const written = plain ? String(value) : typeof value === "string" ? JSON.stringify(value) : typeof value;
  return written.length > 80 ? `${written.slice(0, 79)}…` : written;
}
