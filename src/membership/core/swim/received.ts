import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { readRecord, writeRecord } from "./record-codec.ts";
import type { MemberRecord } from "./types.ts";

/**
 * The records as they come from others: equal bytes are read as one and the same record, so cores of one process that are given these
 * (`SwimSetup.members`) know them again without a look inside.
 */
export function asReceived(records: readonly MemberRecord[]): readonly MemberRecord[] {
  const writer = new ByteWriter();
  return records.map((record) => {
    writer.reset();
    writeRecord(writer, record);
    return readRecord(new ByteReader(writer.written()));
  });
}
