import { nodeAead } from "./aead.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PURPOSE = new TextEncoder().encode("ringraft gossip key on its way");

/**
 * A gossip key on its way to a node that holds `under` already: the status port is plain HTTP. Whoever recorded this needs the
 * old key to read it, and to send it again does nothing once the old key is removed.
 */
export function sealGossipKey(key: Uint8Array, under: Uint8Array): string {
  const nonce = nodeAead.uniqueBytes(NONCE_BYTES);
  const sealed = new Uint8Array(NONCE_BYTES + key.length + TAG_BYTES);
  sealed.set(nonce);
  nodeAead.importKey(under).seal(nonce, PURPOSE, key, sealed, NONCE_BYTES);
  return Buffer.from(sealed).toString("base64");
}

/** The key in `text`, when it was sealed under one of `keys`; else null. */
export function openGossipKey(text: string, keys: readonly Uint8Array[]): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length <= NONCE_BYTES + TAG_BYTES) return null;
  const [nonce, sealed] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES)];
  for (const key of keys) {
    const opened = nodeAead.importKey(key).open(nonce, PURPOSE, sealed);
    if (opened !== null) return Uint8Array.from(opened);
  }
  return null;
}
