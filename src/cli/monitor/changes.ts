import type { FrameInput } from "./frame.ts";
import type { EventRow, Picture } from "./picture.ts";

/** What the monitor remembers from look to look; the first one: null. */
export function afterLook(before: FrameInput | null, picture: Picture): FrameInput {
  const changes = [...(before?.changes ?? []), ...changesBetween(before?.picture ?? null, picture)];
  return {
    picture,
    last: picture.teller === null ? (before?.last ?? null) : picture,
    silences: silencesAfter(before?.silences ?? new Map(), picture),
    leaderlessSince: leaderlessSince(before?.leaderlessSince ?? null, picture),
    changes: changes.slice(-MAX_CHANGES),
  };
}

const MAX_CHANGES = 50;

/** What has changed from one look to the next, in words: what no single node could tell, such as a node that stopped answering. */
function changesBetween(before: Picture | null, now: Picture): readonly EventRow[] {
  if (before === null) return [];
  const event = (level: EventRow["level"], text: string): EventRow => ({ at: now.at, level, text });
  const events: EventRow[] = [];
  const known = before.teller !== null && now.teller !== null;
  if (known && now.leader !== before.leader) {
    events.push(
      now.leader === null
        ? event("error", `no leader any more; it was ${before.leader}`)
        : event("warn", `${now.leader} leads in term ${now.term ?? "?"}; before it ${before.leader ?? "nobody"}`),
    );
  }
  if (known && now.quorumOk !== before.quorumOk) {
    events.push(now.quorumOk ? event("info", `quorum again: ${now.votes}`) : event("error", `quorum lost: ${now.votes}`));
  }
  for (const { door, problem } of now.doors) {
    const former = before.doors.find((known) => known.door === door);
    if (former === undefined || (former.problem === null) === (problem === null)) continue;
    events.push(problem === null ? event("info", `${door} answers again`) : event("warn", `${door} does not answer: ${problem}`));
  }
  return events;
}

/** Who does not answer, since when. */
function silencesAfter(before: ReadonlyMap<string, number>, { doors, at }: Picture): ReadonlyMap<string, number> {
  const silent = doors.filter(({ problem }) => problem !== null);
  return new Map(silent.map(({ door }) => [door, before.get(door) ?? at]));
}

/** Since when nobody leads; null while somebody does. Where nobody answers it stays as it was. */
function leaderlessSince(before: number | null, { teller, leader, at }: Picture): number | null {
  if (teller === null) return before;
  return leader === null ? (before ?? at) : null;
}
