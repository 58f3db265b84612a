import { assertNever } from "#kernel";
import type { Capabilities, LabelRule, Requirements } from "../objects.ts";
import type { SessionRecord } from "../state.ts";

/** Whether the session's worker is of the right kind and has room beside what its live claims reserve. */
export function fits(requires: Requirements | null, session: SessionRecord): boolean {
  const offered = session.session.capabilities;
  if (offered === null) return false;
  if (requires === null) return true;
  return hasRoom(requires, offered, session) && isOfKind(requires, offered);
}

function hasRoom(requires: Requirements, offered: Capabilities, session: SessionRecord): boolean {
  const { reserved } = session;
  return (
    requires.gpuCount <= offered.gpuCount - reserved.gpuCount &&
    requires.gpuMemoryMib <= offered.gpuMemoryMib - reserved.gpuMemoryMib &&
    requires.cpu <= offered.cpu - reserved.cpu &&
    requires.memoryMib <= offered.memoryMib - reserved.memoryMib &&
    requires.diskMib <= offered.diskMib - reserved.diskMib
  );
}

function isOfKind(requires: Requirements, offered: Capabilities): boolean {
  if (requires.cudaMin > offered.cuda) return false;
  if (requires.gpuModels.length > 0 && !requires.gpuModels.includes(offered.gpuModel)) return false;
  for (const rule of requires.labels) if (!obeys(rule, offered.labels)) return false;
  return true;
}

/** As Kubernetes matches node labels: `not_in` also holds where the label is absent; gt and lt compare numbers. */
function obeys(rule: LabelRule, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, rule.key) ? labels[rule.key] : undefined;
  switch (rule.operator) {
    case "in":
      return value !== undefined && rule.values.includes(value);
    case "not_in":
      return value === undefined || !rule.values.includes(value);
    case "exists":
      return value !== undefined;
    case "gt":
      return numberIn(value) > numberIn(rule.values[0]);
    case "lt":
      return numberIn(value) < numberIn(rule.values[0]);
    default:
      return assertNever(rule.operator, "label operator");
  }
}

/** NaN for what is no number, which compares false with everything. */
export function numberIn(text: string | undefined): number {
  return text === undefined || text.trim() === "" ? Number.NaN : Number(text);
}
