import { checkKnobs, type BrokenRelation, type Relation } from "../knobs.ts";
import { swimKnobs, type SwimOptions } from "./options.ts";

type Field = keyof SwimOptions;
type NumberField = { [F in Field]: SwimOptions[F] extends number ? F : never }[Field];

/** Every rule that the options break, ranges first. `nameOf` gives a field's name as the reader knows it. */
export function checkSwimOptions(options: SwimOptions, nameOf?: (field: Field) => string): readonly BrokenRelation<Field>[] {
  return checkKnobs(options, swimKnobs, relations, nameOf);
}

const relations: readonly Relation<Field, SwimOptions>[] = [
  {
    field: "probeTimeoutMs",
    other: "periodMs",
    rule: "at most half of",
    holds: ({ probeTimeoutMs, periodMs }) => probeTimeoutMs <= periodMs / 2,
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
  atMost("periodMs", "keepaliveMs", "a relay gives up whoever is silent for two keepalives, and is asked once a period"),
  atMost("sourcePacketsPerSecond", "sourceBurst", "the burst holds at least what one second may bring"),
];

function atMost(field: NumberField, other: NumberField, why: string): Relation<Field, SwimOptions> {
  return { field, other, rule: "at most", holds: (options) => options[field] <= options[other], why };
}
