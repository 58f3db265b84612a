import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** A bug that somebody once shipped, to be planted in a copy of this project. */
export interface Mutant {
  /** `R…` in the consensus, `S…` above and below it. */
  readonly id: string;
  /** What goes wrong, in a sentence. */
  readonly bug: string;
  /** Who had it. */
  readonly precedent: string;
  /** Names of the checkers that may find it; another one's alarm does not count as a kill. */
  readonly killedBy: readonly string[];
  /** The seed that killed it last: tried first. */
  readonly seed: number | null;
  readonly edits: readonly Edit[];
}

export interface Edit {
  /** Relative to the project's root. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

const CATALOGUE = new URL("catalogue/", import.meta.url);

/** All of them, R1 first. Throws when a file does not follow the form, naming it and the line. */
export function readCatalogue(): readonly Mutant[] {
  const names = readdirSync(CATALOGUE).filter((name) => name.endsWith(".mutant"));
  const mutants = names.map((name) => parseMutant(name, readFileSync(new URL(name, CATALOGUE), "utf8")));
  return mutants.sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
}

/**
 * ```
 * id: R1
 * bug: …
 * precedent: …
 * killed by: vote-safety, election-safety
 * seed: 12
 * file: src/raft/state.ts
 * --- find
 * the text as it stands
 * --- replace
 * the text with the bug
 * --- end
 * ```
 * `file` and its three marks may be repeated; `seed` may be left out; a line that begins with `#` says why.
 */
export function parseMutant(name: string, text: string): Mutant {
  const fields = new Map<string, string>();
  const edits: Edit[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (line === "" || line.startsWith("#")) continue;
    if (line === "--- find") {
      const file = fields.get("file");
      if (file === undefined) throw new Error(`${name}:${at + 1}: no "file:" stands before "--- find"`);
      const middle = lines.indexOf("--- replace", at);
      const end = lines.indexOf("--- end", at);
      if (middle === -1 || end < middle) throw new Error(`${name}:${at + 1}: "--- find" needs "--- replace" and "--- end"`);
      edits.push({ file, find: lines.slice(at + 1, middle).join("\n"), replace: lines.slice(middle + 1, end).join("\n") });
      at = end;
      continue;
    }
    const [, key, value] = /^([a-z ]+): (.+)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`${name}:${at + 1}: neither "key: value" nor a mark: ${line}`);
    fields.set(key, value);
  }
  const need = (key: string): string => {
    const value = fields.get(key);
    if (value === undefined) throw new Error(`${name}: "${key}:" is missing`);
    return value;
  };
  if (edits.length === 0) throw new Error(`${name}: it changes nothing`);
  const seed = fields.get("seed") ?? null;
  if (seed !== null && !/^\d+$/.test(seed)) throw new Error(`${name}: "seed: ${seed}" is no whole number`);
  return {
    id: need("id"),
    bug: need("bug"),
    precedent: need("precedent"),
    killedBy: need("killed by").split(", "),
    seed: seed === null ? null : Number(seed),
    edits,
  };
}

/** Writes the seed into the mutant's file, after the line that it belongs to. */
export function pinSeed({ id }: Mutant, seed: number): void {
  const file = new URL(`${id}.mutant`, CATALOGUE);
  const unpinned = readFileSync(file, "utf8").replace(/^seed: .*\n/m, "");
  writeFileSync(
    file,
    unpinned.replace(/^killed by: .*$/m, (line) => `${line}\nseed: ${seed}`),
  );
}

/** The file's text with the bug in it. Throws when the place is not there exactly once: the code has moved on, the mutant must too. */
export function plant({ id }: Mutant, { file, find, replace }: Edit, text: string): string {
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`mutant ${id} fits ${places} places of ${file}, not one: bring it up to date`);
  return text.replace(find, () => replace);
}
