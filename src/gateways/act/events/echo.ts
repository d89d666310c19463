import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { isJsonObject, written, type JsonObject, type JsonValue } from "../../../model/json.ts";
import { undressJson, undressState, type Viewer } from "../../../model/persona.ts";

/**
 * Bytes of an answer that is held to be looked through. A larger one passes as it is, with the pseudouser as sender of the tenant's
 * events. The whole state of a room is looked through event by event, whatever its size.
 */
export const MAX_ECHO_BYTES = 16 * 1024 * 1024;

/** How deep events lie in answers: /hierarchy has lists of rooms with lists of events. */
const MAX_DEPTH = 4;

/** What an answer holds in which something is to be changed: a mark of a tenant's, or events that tell of power. */
const SIGNS: readonly string[] = [ON_BEHALF_OF, '"m.room.power_levels"', '"m.room.create"'];

/**
 * What the homeserver answered as the tenant sees it: the tenant's own events are its users', and the pseudouser's power is theirs. Null
 * where it stays as it is, which is seen without parsing for all answers that hold no sign of either.
 */
export function echoedEvents(body: Buffer, viewer: Viewer): Buffer | null {
  return SIGNS.some((sign) => body.includes(sign)) ? revised(body, (answer) => echoed(answer, viewer, 0)) : null;
}

/** Likewise for an answer that is the content alone of a state event of this type. */
export function echoedContent(type: string, body: Buffer, viewer: Viewer): Buffer | null {
  return revised(body, (answer) => (isJsonObject(answer) ? undressState(type, answer, viewer) : answer));
}

function revised(body: Buffer, change: (answer: JsonValue) => JsonValue): Buffer | null {
  try {
    const answer = JSON.parse(body.toString("utf8")) as JsonValue;
    const next = change(answer);
    return next === answer ? null : Buffer.from(written(next));
  } catch {
    // No JSON.
    return null;
  }
}

/** The same value where nothing in it changes. */
function echoed(value: JsonValue, viewer: Viewer, depth: number): JsonValue {
  if (depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) {
    const next = value.map((one) => echoed(one, viewer, depth + 1));
    return next.some((one, index) => one !== value[index]) ? next : value;
  }
  if (!isJsonObject(value)) return value;
  if (isEvent(value)) return undressJson(value, viewer);
  const next = Object.entries(value).map(([key, inner]) => [key, echoed(inner, viewer, depth + 1)] as const);
  return next.some(([key, inner]) => inner !== value[key]) ? Object.fromEntries(next) : value;
}

function isEvent(value: JsonObject): boolean {
  return typeof value["sender"] === "string" && typeof value["type"] === "string" && isJsonObject(value["content"]);
}
