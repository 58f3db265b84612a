import { encodeServerFrame } from "#codec";
import type { Response } from "#gen/ringraft/v1/stream.js";

/**
 * Lays responses out in frames of at most about `MAX_FRAME_BYTES`, so that a client's own limit holds; one response alone may
 * be larger. Mostly all fit the first try; otherwise the batch is halved.
 */
export function encodeServerFrames(responses: Response[], write: (frame: Buffer) => void): void {
  const bytes = encodeServerFrame(responses);
  if (bytes.length > MAX_FRAME_BYTES && responses.length > 1) {
    const half = responses.length >>> 1;
    encodeServerFrames(responses.slice(0, half), write);
    encodeServerFrames(responses.slice(half), write);
    return;
  }
  write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

const MAX_FRAME_BYTES = 1_048_576;
