import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isJsonObject, objectAt, written, type JsonObject, type JsonValue } from "../../../model/json.ts";
import { revisionOf, sourced } from "../../../model/json-text.ts";
import { isAttendance, ownAmong, jsonFromWire, stateFromWire, type Viewer } from "../../../model/persona.ts";
import { answeredIn } from "../../../model/references.ts";
import type { EventOwners } from "../../feed/feed.ts";

/** Bytes of an answer that is buffered for rewriting. A larger one passes unchanged, with the pseudouser as sender. */
export const MAX_ECHO_BYTES = 16 * 1024 * 1024;

/** How deep events lie in answers: /hierarchy has lists of rooms with lists of events. */
const MAX_DEPTH = 4;

/** What shows, beside the pseudouser's ID, that an answer needs rewriting: a tenant's mark or power events. */
const SIGNS: readonly string[] = [ON_BEHALF_OF, '"m.room.power_levels"', '"m.room.create"'];

/** A reply, whose content may name the pseudouser instead of the user that it answers. */
const REPLY = '"m.in_reply_to"';

/**
 * Rewrites the homeserver's answer as the tenant sees it: the tenant's users are the senders of its events and have
 * the pseudouser's power, and the pseudouser's own memberships are left out. Returns null if nothing changes; most
 * such answers need no parsing. All other bytes stay as they are.
 * @throws EmissaryError `not-found` if the answer is one event that is left out, or is about one
 */
export function echoedEvents(body: Buffer, viewer: Viewer): Buffer | null {
  if (![...SIGNS, viewer.own].some((sign) => body.includes(sign))) return null;
  const text = body.toString("utf8");
  const answer = parsedText(text);
  return answer === null ? null : revisedShown(answer, text, viewer);
}

/** The same for one event of a list; null if it is left out. */
export function echoedEntry(body: Buffer, viewer: Viewer): Buffer | null {
  if (![...SIGNS, viewer.own].some((sign) => body.includes(sign))) return body;
  const text = body.toString("utf8");
  const event = parsedText(text);
  if (event === null) return body;
  return isHidden(event, viewer) ? null : (revisedShown(event, text, viewer) ?? body);
}

/** The same for an answer with possible replies to the tenant's events: these name the user that was answered. */
export async function echoedAnswer(body: Buffer, viewer: Viewer, owners: EventOwners): Promise<Buffer | null> {
  if (!body.includes(REPLY)) return echoedEvents(body, viewer);
  const text = body.toString("utf8");
  const answer = parsedText(text);
  if (answer === null) return null;
  const answered = ownAmong(await owners.ownersOf(answeredWithin(answer, 0)), viewer);
  return revisedShown(answer, text, { ...viewer, answered });
}

/** The same for an answer that is only the content of a state event of this type. */
export function echoedContent(type: string, body: Buffer, viewer: Viewer): Buffer | null {
  const text = body.toString("utf8");
  const answer = parsedText(text);
  return isJsonObject(answer) ? textIfOther(answer, text, stateFromWire(type, answer, viewer)) : null;
}

/** Two steps: after events are left out, the text is sourced again before anything in it changes. */
function revisedShown(answer: JsonValue, text: string, viewer: Viewer): Buffer | null {
  if (isHidden(answer, viewer) || (isJsonObject(answer) && isHidden(answer["event"], viewer))) {
    throw new EmissaryError("not-found", "There is no such event for this tenant to see.");
  }
  const shown = shownOf(answer, viewer, 0);
  if (shown === answer) return textIfOther(answer, text, echoed(answer, viewer, 0));
  const rest = written(revisionOf(sourced(answer, text), shown));
  return textIfOther(shown, rest, echoed(shown, viewer, 0)) ?? Buffer.from(rest);
}

function textIfOther(answer: JsonValue, text: string, next: JsonValue): Buffer | null {
  return next === answer ? null : Buffer.from(written(revisionOf(sourced(answer, text), next)));
}

/** Null if it is not JSON. */
function parsedText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return null;
  }
}

/** Lists the events that an answer's events reply to. */
function answeredWithin(value: JsonValue, depth: number): readonly string[] {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return [];
  if (isJsonObject(value) && isEvent(value)) return [answeredIn(objectAt(value, "content")) ?? []].flat();
  return Object.values(value).flatMap((inner) => answeredWithin(inner, depth + 1));
}

/** Returns the value without hidden events in its lists; the same value if there are none. */
function shownOf(value: JsonValue, viewer: Viewer, depth: number): JsonValue {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (isJsonObject(value) && isEvent(value)) return value;
  const shown = Array.isArray(value) ? value.filter((one) => !isHidden(one, viewer)) : [];
  const isLess = Array.isArray(value) && shown.length < value.length;
  return changedIn(isLess ? shown : value, (inner) => shownOf(inner, viewer, depth + 1));
}

/** Returns the same value if nothing in it changes. */
function echoed(value: JsonValue, viewer: Viewer, depth: number): JsonValue {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (isJsonObject(value) && isEvent(value)) return jsonFromWire(value, viewer);
  return changedIn(value, (inner) => echoed(inner, viewer, depth + 1));
}

/** Returns the list or object with changed values; the same one if none changes. */
function changedIn(value: JsonValue[] | JsonObject, change: (inner: JsonValue) => JsonValue): JsonValue {
  if (Array.isArray(value)) {
    const next = value.map(change);
    return next.some((one, index) => one !== value[index]) ? next : value;
  }
  const next = Object.entries(value).map(([key, inner]) => [key, change(inner)] as const);
  return next.some(([key, inner]) => inner !== value[key]) ? Object.fromEntries(next) : value;
}

function isHidden(value: JsonValue | undefined, viewer: Viewer): boolean {
  return isJsonObject(value) && isEvent(value) && isAttendance(value, viewer);
}

function isEvent(value: JsonObject): boolean {
  return typeof value["sender"] === "string" && typeof value["type"] === "string" && isJsonObject(value["content"]);
}
