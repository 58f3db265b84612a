import type { ClientWorld, Load } from "../world.ts";
import { Board } from "./board.ts";
import { Client } from "./client.ts";
import { Notebook, type Teller } from "./notebook.ts";
import type { LoadOptions } from "./options.ts";

/** Starts the clients. Everything they do is a function of the options and of `world.random`. */
export function startLoad(world: ClientWorld, options: LoadOptions, tell: Teller): Load {
  const notebook = new Notebook(tell);
  const board = new Board();
  const clients = Array.from({ length: options.clients }, (_, at) => new Client(at + 1, world, options, notebook, board));
  for (const client of clients) client.start();
  return {
    drain: () => {
      for (const client of clients) client.drain();
    },
    get open() {
      return notebook.open;
    },
    get acknowledged() {
      return notebook.acknowledged;
    },
  };
}
