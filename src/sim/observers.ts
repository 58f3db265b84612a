import type { Observer } from "./observer.ts";

/** One observer that tells all: each call goes to exactly those that listen for it. */
export function fanOut(observers: readonly Observer[]): Required<Observer> {
  const to = <K extends keyof Observer>(name: K): Required<Observer>[K] => {
    type Tell = (a: unknown, b: unknown, c: unknown, d: unknown) => void;
    const listeners = observers.flatMap((observer) => {
      const listen = observer[name] as Tell | undefined;
      // Bound once: a look-up by name for each of some million calls would cost more than many of the calls.
      return listen === undefined ? [] : [listen.bind(observer) as Tell];
    });
    // Four values at most; a rest parameter would cost an array each.
    const tell: Tell = (a, b, c, d) => {
      for (let at = 0; at < listeners.length; at += 1) listeners[at]!(a, b, c, d);
    };
    return (listeners.length === 0 ? nobody : tell) as unknown as Required<Observer>[K];
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
