import {
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  WAL_DIRECTORY,
  decodeRecordHeader,
  decodeSegmentHeader,
  parseSegmentName,
  recordBytes,
} from "#storage";
import type { PagedFile } from "./paged-file.ts";

/**
 * Where the payload of the last record in the last batch of a log stands on the platter: damaged there, nobody can tell
 * whether the batch was acknowledged. Null when it is the first batch of its segment, whose damage is no riddle.
 */
export function endOfLog(
  platter: ReadonlyMap<string, PagedFile>,
): { readonly file: PagedFile; readonly position: number } | null {
  const prefix = `${WAL_DIRECTORY}/`;
  let newest: { readonly sequence: number; readonly file: PagedFile } | null = null;
  for (const [path, file] of platter) {
    const name = path.startsWith(prefix) ? parseSegmentName(path.slice(prefix.length)) : null;
    if (name !== null && name.sequence > (newest?.sequence ?? -1)) newest = { sequence: name.sequence, file };
  }
  if (newest === null) return null;
  const { file } = newest;
  const bytes = Buffer.from(file.readPlatter(0, file.usedBytes));
  const header = bytes.length < SEGMENT_HEADER_BYTES ? null : decodeSegmentHeader(bytes);
  if (header === null) return null;
  let batches = 0;
  let position = 0;
  for (let at = SEGMENT_HEADER_BYTES; ;) {
    const record = decodeRecordHeader(bytes, at, header.crc);
    if (record === null) break;
    const next = at + recordBytes(record.payloadBytes);
    if (next > bytes.length) break;
    if (record.endOfBatch) {
      batches += 1;
      position = at + RECORD_HEADER_BYTES;
    }
    at = next;
  }
  return batches < 2 ? null : { file, position };
}
