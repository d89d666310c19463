import { mayNeedMasking } from "./needles.ts";
import type { Hidden } from "./rules.ts";
import { MaskingStream } from "./stream.ts";

/**
 * Masks an answer that is JSON in UTF-8, as {@link maskAnswer} would, but without parsing the whole: it is read through once, only
 * elements that name a pseudouser are parsed, and all else stays byte for byte as it was. The same bytes come back where nothing was
 * to mask, and where they are no JSON.
 */
export function maskBytes(json: Uint8Array, hidden: Hidden): Uint8Array {
  if (!mayNeedMasking(json, hidden.also)) return json;
  const stream = new MaskingStream(hidden, Infinity);
  const parts = [stream.push(json), stream.end()];
  if (!stream.isWhole || !stream.hasMasked) return json;
  const [head = json, rest = json] = parts;
  if (rest.length === 0) return head;
  const masked = new Uint8Array(head.length + rest.length);
  masked.set(head);
  masked.set(rest, head.length);
  return masked;
}
