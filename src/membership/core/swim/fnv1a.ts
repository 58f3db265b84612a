/** FNV-1a, 32 bits, over the bytes from `start` to before `end`. Spreads; proves nothing. */
export function fnv1a(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let hash = OFFSET;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME);
  return hash >>> 0;
}

/** Over the UTF-16 units of `text`; of ASCII the same as over its bytes. */
export function fnv1aOfText(text: string): number {
  let hash = OFFSET;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash >>> 0;
}

const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;
