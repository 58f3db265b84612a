import { pino, type DestinationStream, type Logger } from "pino";
import type { Log, LogFields } from "#ports";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  /** On every line: node id, role, version. */
  readonly fields?: LogFields;
  /** For tests; standard output otherwise. */
  readonly destination?: DestinationStream;
}

/** Longer messages and field values are cut: one line can never flood a collector. */
const MAX_FIELD_CHARACTERS = 2_000;
/** Bytes waiting for a stuck reader of our output. Beyond it lines are dropped: a log must never block the node (etcd#22214). */
const MAX_BUFFERED_BYTES = 1_048_576;
const SECRET_NAME = /token|secret|password|passwd|authorization|cookie|private_key|api_key|admin_key/i;
/** A fencing token is a log index and the first thing one looks for when a write was refused: it is not a secret. */
const NOT_SECRET = /^fencing_?token$/i;
const USER_INFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;

/** The log port over pino: one JSON object per line, secrets replaced, control characters escaped by JSON itself. */
export function pinoLog(options: LogOptions): Log {
  const destination = options.destination ?? standardOutput();
  const root = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const log = wrap(root);
  return options.fields === undefined ? log : log.child(options.fields);
}

/** Asynchronous writes, so that a stuck terminal or collector holds up nothing; what is buffered at exit is written then. */
function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: false, maxLength: MAX_BUFFERED_BYTES });
  // A closed reader (EPIPE) costs the lines, not the node.
  stream.on("error", () => undefined);
  process.on("exit", () => {
    try {
      stream.flushSync();
    } catch {
      // Nobody reads any more, or the stream never opened.
    }
  });
  return stream;
}

function wrap(logger: Logger): Log {
  return {
    debug: (message, fields) => {
      if (logger.isLevelEnabled("debug")) logger.debug(clean(fields), text(message));
    },
    info: (message, fields) => {
      if (logger.isLevelEnabled("info")) logger.info(clean(fields), text(message));
    },
    warn: (message, fields) => logger.warn(clean(fields), text(message)),
    error: (message, fields) => logger.error(clean(fields), text(message)),
    child: (fields) => wrap(logger.child(clean(fields))),
  };
}

/** `fromEntries` defines own properties, so a field called `__proto__` is one more field and nothing else. */
function clean(fields: LogFields | undefined): LogFields {
  if (fields === undefined) return {};
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (SECRET_NAME.test(name) && !NOT_SECRET.test(name)) return [name, "[redacted]"];
      return [name, typeof value === "string" ? text(value) : value];
    }),
  );
}

function text(value: string): string {
  const bounded =
    value.length > MAX_FIELD_CHARACTERS ? `${value.slice(0, MAX_FIELD_CHARACTERS)}… (${value.length} characters)` : value;
  return bounded.includes("://") ? bounded.replace(USER_INFO, "$1[redacted]@") : bounded;
}
