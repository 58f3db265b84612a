import { readFileSync } from "node:fs";
import { ExitError, JobId } from "#kernel";
import type { Client, NewWork } from "#client";
import type { Job, WorkState } from "#statemachine";
import { type Command, parse, UsageError } from "../command.ts";
import { connectionHelp, connectionOptions, withClient } from "../connection.ts";
import { outputFormat, printJson, printRows } from "../output.ts";

export const jobSubmit: Command = {
  name: "job submit",
  summary: "Submit a job: one work item from options, or many from a JSON file",
  usage: "--kind KIND [--payload TEXT] [--queue Q] [--items FILE] [-e HOST:PORT] [-o table|json]",
  details: `Options:
      --kind KIND           what the job and its item are (required)
      --payload TEXT        the item's payload, UTF-8, at most 64 KiB (default empty)
      --queue QUEUE         the item's queue (default "default")
      --priority N          higher first (default 0)
      --max-attempts N      default 3
      --items FILE          instead: a JSON array of work items, each {"kind": …, "payload": …, "queue": …}; - is standard input
${connectionHelp.replace("Options:\n", "")}`,
  run: async (args) => {
    const { values } = parse(
      args,
      {
        ...connectionOptions,
        kind: { type: "string" },
        payload: { type: "string" },
        queue: { type: "string" },
        priority: { type: "string" },
        "max-attempts": { type: "string" },
        items: { type: "string" },
      },
      [],
    );
    const format = outputFormat(values);
    const kind = values.kind;
    if (kind === undefined) throw new UsageError("--kind is missing");
    const items: readonly NewWork[] =
      values.items === undefined
        ? [
            {
              kind,
              payload: values.payload ?? "",
              ...(values.queue === undefined ? {} : { queue: values.queue }),
              ...integerOption("priority", values.priority),
              ...integerOption("maxAttempts", values["max-attempts"]),
            },
          ]
        : itemsFrom(values.items, kind);
    const submitted = await withClient(values, async (client) => {
      const session = await client.openSession({ purpose: "tool" });
      try {
        return await session.jobs.submit({ kind, items, createdBy: "ringraft job submit" });
      } finally {
        await session.close();
      }
    });
    if (format === "json") printJson(submitted);
    else process.stdout.write(`job ${submitted.job.jobId} submitted with ${submitted.workIds.length} work item(s)\n`);
    return 0;
  },
};

export const jobList: Command = {
  name: "job list",
  summary: "Jobs with their phase and the state of their work items",
  usage: "[--limit N] [-e HOST:PORT] [-o table|json]",
  details: `Options:
      --limit N             the newest N, newest last (default 100)
${connectionHelp.replace("Options:\n", "")}`,
  run: async (args) => {
    const { values } = parse(args, { ...connectionOptions, limit: { type: "string" } }, []);
    const format = outputFormat(values);
    const { limit = DEFAULT_LIMIT } = integerOption("limit", values.limit);
    if (limit < 1) throw new UsageError(`--limit takes a number from 1 on, not ${limit}`);
    const jobs = await withClient(values, (client) => newestJobs(client, limit));
    printRows(format, jobs, {
      JOB: (job) => job.jobId,
      KIND: (job) => job.kind,
      PHASE: (job) => job.phase,
      PERCENT: (job) => job.percent.toFixed(0),
      ITEMS: itemCounts,
      CREATED: (job) => new Date(job.createdWallMs).toISOString(),
    });
    return 0;
  },
};

const DEFAULT_LIMIT = 100;

/** The protocol lists from the oldest on; what people want to see is the end. */
export async function newestJobs(
  { jobs }: { readonly jobs: Pick<Client["jobs"], "list"> },
  count: number,
): Promise<readonly Job[]> {
  let newest: readonly Job[] = [];
  let pageToken = "";
  do {
    const page = await jobs.list({ limit: 1000, pageToken });
    newest = [...newest, ...page.jobs].slice(-count);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return newest;
}

export const jobGet: Command = {
  name: "job get",
  summary: "One job and its work items",
  usage: "JOB_ID [-e HOST:PORT] [-o table|json]",
  details: connectionHelp,
  run: async (args) => {
    const { values, positionals } = parse(args, connectionOptions, ["JOB_ID"]);
    const format = outputFormat(values);
    const jobId = JobId(positionals[0]!);
    const found = await withClient(values, async (client) => ({
      job: await client.jobs.get(jobId),
      items: (await client.work.list({ jobId, limit: 1000 })).items,
    }));
    if (format === "json") {
      printJson(found);
      return 0;
    }
    process.stdout.write(`${found.job.jobId}  ${found.job.kind}  ${found.job.phase}  ${found.job.percent.toFixed(0)} %\n\n`);
    printRows("table", found.items, {
      WORK: (item) => item.workId,
      STATE: (item) => item.state,
      ATTEMPT: (item) => `${item.attempt}/${item.spec.maxAttempts}`,
      NODE: (item) => item.claim?.nodeId ?? item.attempts.at(-1)?.nodeId ?? "-",
      PROGRESS: (item) => (item.progress === null ? "-" : `${item.progress.percent.toFixed(0)} % ${item.progress.step}`),
      ERROR: (item) => item.lastError?.message ?? "",
    });
    return 0;
  },
};

function itemCounts(job: Job): string {
  return (Object.entries(job.counts) as [WorkState, number][])
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state.toLowerCase()}`)
    .join(", ");
}

function integerOption<Name extends string>(name: Name, text: string | undefined): { readonly [key in Name]?: number } {
  if (text === undefined) return {};
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new UsageError(`${name} takes an integer, not "${text}"`);
  return { [name]: value } as { readonly [key in Name]?: number };
}

function itemsFrom(file: string, kind: string): readonly NewWork[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file === "-" ? 0 : file, "utf8"));
  } catch (error) {
    throw new ExitError(2, `${file}: ${(error as Error).message}`, "--items takes a file with a JSON array", { cause: error });
  }
  if (!Array.isArray(parsed)) throw new ExitError(2, `${file}: expected a JSON array of work items`);
  return parsed.map((item: unknown, at) => {
    if (typeof item !== "object" || item === null) throw new ExitError(2, `${file}: item ${at} is not an object`);
    return { kind, ...newWork(item, `${file}: item ${at}`) };
  });
}

/** The fields that a hand-written item may have; anything else is a typing error that must not pass in silence. */
const itemFields: Readonly<Record<string, "string" | "number">> = {
  kind: "string",
  queue: "string",
  payload: "string",
  payloadUri: "string",
  priority: "number",
  runAtMs: "number",
  deadlineMs: "number",
  maxAttempts: "number",
  maxLosses: "number",
  startToCloseTimeoutMs: "number",
  heartbeatTimeoutMs: "number",
  uniqueKey: "string",
};

function newWork(item: object, where: string): Partial<NewWork> {
  const named = Object.entries(item).map(([key, value]) => {
    const name = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const type = itemFields[name];
    if (type === undefined)
      throw new ExitError(2, `${where}: unknown field "${key}"`, `known: ${Object.keys(itemFields).join(", ")}`);
    if (typeof value !== type) throw new ExitError(2, `${where}: ${key} must be a ${type}`);
    return [name, value] as const;
  });
  return Object.fromEntries(named) as Partial<NewWork>;
}
