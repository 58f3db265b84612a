/**
 * Runs every promise callback that is ready, and those that they make ready, before it returns.
 *
 * The code under test is written with promises; the world moves by a plain loop over events. After each event its promises
 * must have settled, or they would mix with the next one's. Node drains microtasks only between macrotasks, and a macrotask
 * per event costs more than the event. `process._tickCallback` is that drain itself, and takes a quarter of a microsecond.
 * It drains fully only when the caller is not inside a microtask: runs start from a `setImmediate` ({@link asMacrotask}).
 */
export const drainMicrotasks: () => void = (process as unknown as { readonly _tickCallback: () => void })._tickCallback.bind(
  process,
);

/** Runs `work` where {@link drainMicrotasks} drains. */
export function asMacrotask<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}
