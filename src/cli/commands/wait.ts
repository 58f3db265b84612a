import { ExitError } from "#kernel";
import { type Command, parse, UsageError } from "../command.ts";
import { secondsOf } from "../connection.ts";
import { askNode, httpHelp, httpOption } from "../http-door.ts";

export const wait: Command = {
  name: "wait",
  summary: "Wait until a node is healthy and its view of the members can be taken for the cluster's",
  usage: "--for converged [--timeout SECONDS] [--http URL|HOST:PORT]",
  details: `The node has joined, at least 80 % of the peers that it heard lately hold the same view, nobody's death is being decided, and
its own health is good (GET /health?converged=true).

Options:
      --for converged       what to wait for
      --timeout SECONDS     give up after this long (default 30, at most 300)
${httpHelp}
Exit code 0 when it holds, 6 when the time is over: what did not hold is then named. 5 when the node does not answer.`,
  run: async (args) => {
    const { values } = parse(args, { for: { type: "string" }, timeout: { type: "string" }, ...httpOption }, []);
    if (values.for !== "converged") throw new UsageError(`--for takes converged, not ${JSON.stringify(values.for ?? "")}`);
    const seconds = Math.min(300, secondsOf(values.timeout, 30));
    const ms = Math.ceil(seconds * 1_000);
    const { status, body } = await askNode(values.http, `/health?converged=true&timeout=${ms}ms`, ms + 5_000);
    if (status === 200) {
      process.stdout.write("converged\n");
      return 0;
    }
    const reasons = (body["reasons"] as readonly string[] | undefined) ?? [];
    throw new ExitError(6, `not converged after ${seconds} s${reasons.map((reason) => `\n  ${reason}`).join("")}`);
  },
};
