/**
 * While a run goes on, nothing may ask the real world for time, chance or another turn of the event loop: such a call would
 * make two runs of one seed differ. Returns how to give the globals back.
 */
export function forbidRealWorld(): () => void {
  const originals = forbidden.map(([owner, name]) => ({ owner, name, value: Reflect.get(owner, name) as unknown }));
  for (const { owner, name } of originals) {
    Reflect.set(owner, name, () => {
      throw new Error(`${name} in a simulated run: it would not replay`);
    });
  }
  return () => {
    for (const { owner, name, value } of originals) Reflect.set(owner, name, value);
  };
}

const forbidden: readonly (readonly [object, string])[] = [
  [Date, "now"],
  [Math, "random"],
  [performance, "now"],
  [process, "hrtime"],
  [globalThis, "setTimeout"],
  [globalThis, "setInterval"],
  [globalThis, "setImmediate"],
  [globalThis, "fetch"],
];
