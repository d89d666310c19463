import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { isJsonObject, written, type JsonObject, type JsonValue } from "../../../model/json.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isAttendance, undressJson, undressState, type Viewer } from "../../../model/persona.ts";

/**
 * Bytes of an answer that is held to be looked through. A larger one passes as it is, with the pseudouser as sender of the tenant's
 * events. The whole state of a room is looked through event by event, whatever its size.
 */
export const MAX_ECHO_BYTES = 16 * 1024 * 1024;

/** How deep events lie in answers: /hierarchy has lists of rooms with lists of events. */
const MAX_DEPTH = 4;

/** What an answer holds in which something is to be changed, beside the pseudouser's name: a tenant's mark, or events that tell of power. */
const SIGNS: readonly string[] = [ON_BEHALF_OF, '"m.room.power_levels"', '"m.room.create"'];

/**
 * What the homeserver answered as the tenant sees it: the tenant's own events are its users', the pseudouser's power is theirs, and its
 * coming and going is left out. Null where it stays as it is, which is seen without parsing for all answers that hold no sign of these.
 * @throws EmissaryError `not-found` where the answer is one event that is left out, or is about one
 */
export function echoedEvents(body: Buffer, viewer: Viewer): Buffer | null {
  if (![...SIGNS, viewer.own].some((sign) => body.includes(sign))) return null;
  return revised(body, (answer) => {
    if (isHidden(answer, viewer) || (isJsonObject(answer) && isHidden(answer["event"], viewer))) {
      throw new EmissaryError("not-found", "There is no such event for this tenant to see.");
    }
    return echoed(answer, viewer, 0);
  });
}

/** Likewise for one event of a list; null where it is left out of that. */
export function echoedEntry(body: Buffer, viewer: Viewer): Buffer | null {
  if (![...SIGNS, viewer.own].some((sign) => body.includes(sign))) return body;
  return isHidden(parsed(body), viewer) ? null : (echoedEvents(body, viewer) ?? body);
}

/** Likewise for an answer that is the content alone of a state event of this type. */
export function echoedContent(type: string, body: Buffer, viewer: Viewer): Buffer | null {
  return revised(body, (answer) => (isJsonObject(answer) ? undressState(type, answer, viewer) : answer));
}

function revised(body: Buffer, change: (answer: JsonValue) => JsonValue): Buffer | null {
  const answer = parsed(body);
  if (answer === undefined) return null;
  const next = change(answer);
  return next === answer ? null : Buffer.from(written(next));
}

/** Undefined for what is no JSON. */
function parsed(body: Buffer): JsonValue | undefined {
  try {
    return JSON.parse(body.toString("utf8")) as JsonValue;
  } catch {
    return undefined;
  }
}

/** The same value where nothing in it changes. */
function echoed(value: JsonValue, viewer: Viewer, depth: number): JsonValue {
  if (depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) {
    const shown = value.filter((one) => !isHidden(one, viewer));
    const next = shown.map((one) => echoed(one, viewer, depth + 1));
    return next.length < value.length || next.some((one, index) => one !== value[index]) ? next : value;
  }
  if (!isJsonObject(value)) return value;
  if (isEvent(value)) return undressJson(value, viewer);
  const next = Object.entries(value).map(([key, inner]) => [key, echoed(inner, viewer, depth + 1)] as const);
  return next.some(([key, inner]) => inner !== value[key]) ? Object.fromEntries(next) : value;
}

function isHidden(value: JsonValue | undefined, viewer: Viewer): boolean {
  return isJsonObject(value) && isEvent(value) && isAttendance(value, viewer);
}

function isEvent(value: JsonObject): boolean {
  return typeof value["sender"] === "string" && typeof value["type"] === "string" && isJsonObject(value["content"]);
}
