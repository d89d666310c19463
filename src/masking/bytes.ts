import { joined } from "./held.ts";
import { mayNeedMasking } from "./needles.ts";
import type { Hidden } from "./rules.ts";
import { MaskingStream } from "./stream.ts";

/**
 * Masks an answer that is JSON in UTF-8, as {@link maskAnswer} would. Reads it once, parses only elements that name a
 * pseudouser, and leaves all other bytes unchanged. Returns the same bytes if nothing is masked or they are no JSON.
 */
export function maskBytes(json: Uint8Array, hidden: Hidden): Uint8Array {
  if (!mayNeedMasking(json, hidden.also)) return json;
  const stream = new MaskingStream(hidden, Infinity);
  const parts = [stream.push(json), stream.end()];
  if (!stream.isWhole || !stream.hasMasked) return json;
  return joined(parts);
}
