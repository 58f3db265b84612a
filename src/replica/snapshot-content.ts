/**
 * A snapshot's bytes: the machine's documents, one per line (newline-delimited JSON, UTF-8), cut into pieces that are worth a
 * write each. Documents are immutable strings, so the pieces may be produced while the machine moves on.
 */
export function* snapshotContent(documents: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  let characters = 0;
  for (const document of documents) {
    lines.push(document, "\n");
    characters += document.length + 1;
    if (characters < PIECE_CHARACTERS) continue;
    yield encoder.encode(lines.join(""));
    lines = [];
    characters = 0;
  }
  if (lines.length > 0) yield encoder.encode(lines.join(""));
}

/** The documents back, wherever the pieces were cut. */
export async function snapshotDocuments(content: AsyncIterable<Uint8Array>): Promise<string[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const documents: string[] = [];
  let rest = "";
  for await (const piece of content) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) documents.push(line);
  }
  rest += decoder.decode();
  if (rest !== "") documents.push(rest);
  return documents;
}

const PIECE_CHARACTERS = 128 * 1024;
