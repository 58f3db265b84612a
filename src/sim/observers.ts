import type { Observer } from "./observer.ts";

/** One observer that tells all: each call goes to exactly those that listen for it. */
export function fanOut(observers: readonly Observer[]): Required<Observer> {
  const to = <K extends keyof Observer>(name: K): Required<Observer>[K] => {
    const listeners = observers.filter((observer) => observer[name] !== undefined);
    // Four at most; a rest parameter would cost an array for each of a million calls.
    const tell = (a: unknown, b: unknown, c: unknown, d: unknown): void => {
      for (const listener of listeners) (listener[name] as (...values: readonly unknown[]) => void)(a, b, c, d);
    };
    if (listeners.length === 0) return nobody as Required<Observer>[K];
    if (listeners.length > 1) return tell as Required<Observer>[K];
    return (listeners[0]![name] as (...values: readonly unknown[]) => void).bind(listeners[0]) as Required<Observer>[K];
  };
  return {
    started: to("started"),
    stopped: to("stopped"),
    stepped: to("stepped"),
    drained: to("drained"),
    persisted: to("persisted"),
    sent: to("sent"),
    committed: to("committed"),
    applied: to("applied"),
    restored: to("restored"),
    invoked: to("invoked"),
    returned: to("returned"),
    leased: to("leased"),
    watching: to("watching"),
    watched: to("watched"),
    diskFault: to("diskFault"),
    healed: to("healed"),
    ended: to("ended"),
  };
}

const nobody = (): void => {};
