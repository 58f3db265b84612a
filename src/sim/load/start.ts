import type { ClientWorld, Load } from "../world.ts";
import { Board } from "./board.ts";
import { Client } from "./client.ts";
import { Doubter } from "./doubter.ts";
import { Notebook, type Teller } from "./notebook.ts";
import type { LoadOptions } from "./options.ts";

/** Starts the clients. Everything they do is a function of the options and of `world.random`. */
export function startLoad(world: ClientWorld, options: LoadOptions, tell: Teller): Load {
  const notebook = new Notebook(tell);
  const board = new Board();
  let isDraining = false;
  const clients = Array.from({ length: options.clients }, (_, at) => new Client(at + 1, world, options, notebook, board));
  for (const client of clients) client.start();
  const doubter = new Doubter(world, notebook);
  doubter.start();
  return {
    drain: () => {
      isDraining = true;
      for (const client of clients) client.drain();
      doubter.stop();
    },
    get open() {
      // Between two operations of the drain nothing may be open, and the queues are not empty yet.
      return notebook.open + (isDraining && !board.isAllDone ? 1 : 0);
    },
    get acknowledged() {
      return notebook.acknowledged;
    },
  };
}
