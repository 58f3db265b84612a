import { type Command, parse } from "../command.ts";
import { connectionHelp, connectionOptions, withClient } from "../connection.ts";
import { outputFormat, printRows } from "../output.ts";

export const lockList: Command = {
  name: "lock list",
  summary: "Training locks: who holds them, under which fencing token, who waits",
  usage: "[-e HOST:PORT] [-o table|json]",
  details: connectionHelp,
  run: async (args) => {
    const { values } = parse(args, connectionOptions, []);
    const format = outputFormat(values);
    const locks = await withClient(values, (client) => client.locks.list());
    printRows(format, locks, {
      NAME: (lock) => lock.name,
      STATE: (lock) => lock.state,
      HOLDER: (lock) => lock.holder?.nodeId ?? "-",
      TOKEN: (lock) => String(lock.holder?.fencingToken ?? "-"),
      WAITERS: (lock) => String(lock.waiters.length),
      PURPOSE: (lock) => lock.purpose,
    });
    return 0;
  },
};
