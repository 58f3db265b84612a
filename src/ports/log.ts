export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** Structured log, one JSON object per line. Never a place for payloads, tokens or keys. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Log;
}
