import { deflateRawSync, inflateRawSync } from "node:zlib";
import { EmissaryError } from "../../model/errors.ts";
import { isJsonObject, MAX_NESTING, shallow, type JsonObject } from "../../model/json.ts";

/** An ID must fit into a request line, beside a token and the rest. */
const MAX_ID = 6_000;
const MAX_JSON = 64 * 1024;

/**
 * Encodes a filter as its own ID. The ID stays valid after a restart, after a restore and at every listener, no
 * tenant can name another's filter, and nothing is stored or evicted.
 * @throws EmissaryError `too-large` if the filter is too long for an ID
 */
export function filterIdOf(filter: JsonObject): string {
  const id = `f${deflateRawSync(JSON.stringify(filter)).toString("base64url")}`;
  if (id.length <= MAX_ID) return id;
  throw new EmissaryError("too-large", "The filter is too large to be kept: name fewer rooms, types or senders in it.");
}

/** Returns the filter of an ID; null if the ID is not ours. */
export function filterIn(id: string): JsonObject | null {
  const packed = /^f([\w-]+)$/.exec(id)?.[1];
  if (packed === undefined || id.length > MAX_ID) return null;
  try {
    const text = inflateRawSync(Buffer.from(packed, "base64url"), { maxOutputLength: MAX_JSON }).toString("utf8");
    const filter: unknown = JSON.parse(text);
    return isJsonObject(filter) ? shallow(filter, MAX_NESTING) : null;
  } catch {
    return null;
  }
}
