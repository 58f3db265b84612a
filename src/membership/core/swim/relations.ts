import { swimKnobs, type SwimKnob, type SwimOptions } from "./options.ts";

type Field = keyof SwimOptions;

/** A rule that a set of options breaks: which number, against which other (the same one for a range), and both as text. */
export interface BrokenRelation {
  readonly field: Field;
  readonly other: Field;
  readonly message: string;
  readonly hint: string;
}

/** Every broken rule; `nameOf` gives a field's name as the reader knows it, by default the configuration's key. */
export function checkSwimOptions(
  options: SwimOptions,
  nameOf: (field: Field) => string = (field) => swimKnobs[field].key,
): readonly BrokenRelation[] {
  const outside = fields.flatMap((field) => outOfRange(options, field, nameOf));
  if (outside.length > 0) return outside;
  return relations.flatMap((relation) => {
    const { field, other, rule, why } = relation;
    if (options[field] <= relation.limit(options)) return [];
    const message = `${nameOf(field)} ${showKnob(field, options[field])} must be ${rule} ${nameOf(other)} ${showKnob(other, options[other])}`;
    return [{ field, other, message, hint: why }];
  });
}

/** A value with its unit, as messages and tables write it. */
export function showKnob(field: Field, value: number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  switch (swimKnobs[field].unit) {
    case "duration":
      return value >= 1_000 ? `${value / 1_000} s` : `${value} ms`;
    case "bytes":
      return `${value} bytes`;
    case "switch":
    case "count":
    case "share":
    case "factor":
      return String(value);
  }
}

type NumberField = { [F in Field]: SwimOptions[F] extends number ? F : never }[Field];

interface Relation {
  readonly field: NumberField;
  readonly other: NumberField;
  readonly rule: string;
  /** The largest value that `field` may have. */
  readonly limit: (options: SwimOptions) => number;
  readonly why: string;
}

const atMost = (field: NumberField, other: NumberField, why: string): Relation => ({
  field,
  other,
  rule: "at most",
  limit: (options) => options[other],
  why,
});

const relations: readonly Relation[] = [
  {
    field: "probeTimeoutMs",
    other: "periodMs",
    rule: "at most half of",
    limit: ({ periodMs }) => periodMs / 2,
    why: "relays are asked after a direct ping has failed and must answer before the period ends",
  },
  atMost("probeTimeoutFloorMs", "probeTimeoutMs", "the timeout moves between the two"),
  atMost("verdictSlackMs", "probeTimeoutFloorMs", "a verdict must not be put off by more than a whole timeout"),
  atMost("gossipIntervalMs", "periodMs", "a suspicion must be told before the next probe adds another"),
  atMost("repairIntervalMs", "pushPullIntervalMs", "a repair that comes later than the periodic exchange repairs nothing"),
  atMost("streamTimeoutMs", "pushPullIntervalMs", "exchanges with a silent peer would pile up"),
  atMost("joinBackoffMinMs", "joinBackoffMaxMs", "the pause grows from the one to the other"),
  atMost("reconnectMinMs", "reconnectMaxMs", "the pause grows from the one to the other"),
  atMost("reconnectMaxMs", "tombstoneMs", "a dead member must be tried again before it is forgotten"),
  atMost("healIntervalMs", "tombstoneMs", "the other side of a partition must be tried again before it is forgotten"),
  atMost("gossipToDeadMs", "tombstoneMs", "who is forgotten is told nothing"),
  atMost("gossipIntervalMs", "leaveTimeoutMs", "a goodbye must be told at least once"),
  atMost("sourcePacketsPerSecond", "sourceBurst", "the burst holds at least what one second may bring"),
  {
    field: "gossipFanOut",
    other: "sourcePacketsPerSecond",
    rule: "at most one gossip_interval's share of",
    limit: ({ gossipIntervalMs, sourcePacketsPerSecond }) => (sourcePacketsPerSecond * gossipIntervalMs) / 1_000,
    why: "members would drop each other's gossip",
  },
];

const fields = Object.keys(swimKnobs) as readonly Field[];

function outOfRange(options: SwimOptions, field: Field, nameOf: (field: Field) => string): readonly BrokenRelation[] {
  const knob: SwimKnob = swimKnobs[field];
  const value = options[field];
  if (typeof value === "boolean") return [];
  const whole = knob.unit === "duration" || knob.unit === "count" || knob.unit === "bytes";
  if (value >= knob.min && value <= knob.max && (!whole || Number.isSafeInteger(value))) return [];
  const range = `${showKnob(field, knob.min)} to ${showKnob(field, knob.max)}`;
  const message = `${nameOf(field)} ${showKnob(field, value)} must be ${whole ? "a whole number " : ""}from ${range}`;
  return [{ field, other: field, message, hint: "see the safe ranges in docs/membership.md" }];
}
