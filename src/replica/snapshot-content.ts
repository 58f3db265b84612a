import type { Restoration, StateMachine } from "#statemachine";

/**
 * A snapshot's bytes: the machine's documents, one per line (newline-delimited JSON, UTF-8), cut into pieces that are worth a
 * write each and take a few milliseconds to make. The caller may do other things between two pieces, but must be done with one
 * before it asks for the next: they all stand in the same buffer, since a gigabyte of garbage makes the collector pause.
 */
export function* snapshotContent(documents: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let buffer = new Uint8Array(0);
  let lines: string[] = [];
  let characters = 0;
  const piece = (): Uint8Array => {
    const text = lines.join("");
    lines = [];
    characters = 0;
    if (buffer.length < text.length * MAX_UTF8_BYTES) buffer = new Uint8Array(text.length * MAX_UTF8_BYTES);
    return buffer.subarray(0, encoder.encodeInto(text, buffer).written);
  };
  for (const document of documents) {
    lines.push(document, "\n");
    characters += document.length + 1;
    if (characters >= PIECE_CHARACTERS) yield piece();
  }
  if (lines.length > 0) yield piece();
}

/** A machine from such bytes, wherever they are cut. Yields to other work wherever `content` does; keeps one piece at a time. */
export async function restoreFrom<M extends StateMachine>(
  content: AsyncIterable<Uint8Array>,
  restoration: Restoration<M>,
): Promise<M> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let begun = new Uint8Array(0);
  for await (const piece of content) {
    let from = 0;
    for (;;) {
      const end = piece.indexOf(NEWLINE, from);
      if (end === -1) break;
      const line = piece.subarray(from, end);
      // Line by line: a line cut out of a longer text would keep all of that text in memory.
      restoration.add(decoder.decode(begun.length === 0 ? line : joined(begun, line)));
      begun = new Uint8Array(0);
      from = end + 1;
    }
    begun = joined(begun, piece.subarray(from));
  }
  if (begun.length > 0) restoration.add(decoder.decode(begun));
  return restoration.finish();
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

const NEWLINE = 10;
const PIECE_CHARACTERS = 128 * 1024;
const MAX_UTF8_BYTES = 3;
