import { assertNever } from "#kernel";

/** One number of a detector: how the configuration spells it and what it may be. Durations are written with a unit. */
export interface Knob {
  readonly key: string;
  readonly unit: "duration" | "count" | "bytes" | "share" | "factor" | "switch";
  readonly min: number;
  readonly max: number;
}

export type Knobs<O> = Readonly<Record<keyof O & string, Knob>>;

/** What must hold between two numbers, whichever profile they come from. */
export interface Relation<F extends string, O> {
  readonly field: F;
  readonly other: F;
  /** Stands between the two in the message: "at most", "at most half of". */
  readonly rule: string;
  readonly holds: (options: O) => boolean;
  readonly why: string;
}

/** A rule that a set of options breaks: which number, against which other (the same one for a range). */
export interface BrokenRelation<F extends string> {
  readonly field: F;
  readonly other: F;
  /** One sentence with both names and both numbers. */
  readonly message: string;
  readonly hint: string;
}

/** Every broken rule; the relations are judged once all numbers are in range. `nameOf` gives a field's name as the reader knows it. */
export function checkKnobs<F extends string, O extends Readonly<Record<F, number | boolean>>>(
  options: O,
  knobs: Readonly<Record<F, Knob>>,
  relations: readonly Relation<F, O>[],
  nameOf: (field: F) => string = (field) => knobs[field].key,
): readonly BrokenRelation<F>[] {
  const say = (field: F): string => `${nameOf(field)} ${showKnob(knobs[field], options[field])}`;
  const outside: BrokenRelation<F>[] = [];
  for (const field in knobs) {
    const range = whyOutside(knobs[field], options[field]);
    if (range === null) continue;
    const hint = "the safe ranges stand in docs/membership.md";
    outside.push({ field, other: field, message: `${say(field)} must be ${range}`, hint });
  }
  if (outside.length > 0) return outside;
  return relations
    .filter((relation) => !relation.holds(options))
    .map(({ field, other, rule, why }) => ({ field, other, message: `${say(field)} must be ${rule} ${say(other)}`, hint: why }));
}

/** A value with its unit, as messages and tables write it. */
export function showKnob({ unit }: Knob, value: number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  switch (unit) {
    case "duration":
      return value >= 1_000 ? `${value / 1_000} s` : `${value} ms`;
    case "bytes":
      return `${value} bytes`;
    case "switch":
    case "count":
    case "share":
    case "factor":
      return String(value);
    default:
      return assertNever(unit, "unit");
  }
}

function whyOutside(knob: Knob, value: number | boolean): string | null {
  if (typeof value === "boolean") return null;
  const whole = knob.unit === "duration" || knob.unit === "count" || knob.unit === "bytes";
  if (value >= knob.min && value <= knob.max && (!whole || Number.isSafeInteger(value))) return null;
  return `${whole ? "a whole number " : ""}from ${showKnob(knob, knob.min)} to ${showKnob(knob, knob.max)}`;
}
