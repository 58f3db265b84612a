/**
 * What a leader says in the entry that opens its leadership: how much longer every session lives at least, milliseconds as
 * u32, little-endian. It stands in the log because voters may be configured differently, and yet must apply the same.
 */
export function leaderEntryData(electionGraceMs: number): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  new DataView(bytes.buffer).setUint32(0, electionGraceMs, true);
  return bytes;
}

/** 0 where the entry says nothing. */
export function electionGraceOf(data: Uint8Array): number {
  return data.length === LENGTH ? new DataView(data.buffer, data.byteOffset).getUint32(0, true) : 0;
}

const LENGTH = 4;
