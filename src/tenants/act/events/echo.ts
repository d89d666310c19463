import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isJsonObject, written, type JsonObject, type JsonValue } from "../../../model/json.ts";
import { revisionOf, sourced } from "../../../model/json-text.ts";
import { isAttendance, ownAmong, jsonFromWire, stateFromWire, type Viewer } from "../../../model/persona.ts";
import { answeredIn } from "../../../model/references.ts";
import type { EventOwners } from "../../feed/contracts.ts";

/**
 * Bytes of an answer that is held to be looked through. A larger one passes as it is, with the pseudouser as sender of the tenant's
 * events. The whole state of a room is looked through event by event, whatever its size.
 */
export const MAX_ECHO_BYTES = 16 * 1024 * 1024;

/** How deep events lie in answers: /hierarchy has lists of rooms with lists of events. */
const MAX_DEPTH = 4;

/** What an answer holds in which something is to be changed, beside the pseudouser's name: a tenant's mark, or events that tell of power. */
const SIGNS: readonly string[] = [ON_BEHALF_OF, '"m.room.power_levels"', '"m.room.create"'];

/** A relation of an answer, which may name the pseudouser for whom it answers. */
const REPLY = '"m.in_reply_to"';

/**
 * What the homeserver answered as the tenant sees it: the tenant's own events are its users', the pseudouser's power is theirs, and its
 * coming and going is left out. Null where it stays as it is, which is seen without parsing for all answers that hold no sign of these.
 * All but what changes stays byte for byte.
 * @throws EmissaryError `not-found` where the answer is one event that is left out, or is about one
 */
export function echoedEvents(body: Buffer, viewer: Viewer): Buffer | null {
  if (![...SIGNS, viewer.own].some((sign) => body.includes(sign))) return null;
  const text = body.toString("utf8");
  const answer = parsedText(text);
  return answer === null ? null : revisedShown(answer, text, viewer);
}

/** Likewise for one event of a list; null where it is left out of that. */
export function echoedEntry(body: Buffer, viewer: Viewer): Buffer | null {
  if (![...SIGNS, viewer.own].some((sign) => body.includes(sign))) return body;
  const text = body.toString("utf8");
  const event = parsedText(text);
  if (event === null) return body;
  return isHidden(event, viewer) ? null : (revisedShown(event, text, viewer) ?? body);
}

/** Likewise, where it may hold answers to the tenant's events: these name the user that was answered. */
export async function echoedAnswer(body: Buffer, viewer: Viewer, owners: EventOwners): Promise<Buffer | null> {
  if (!body.includes(REPLY)) return echoedEvents(body, viewer);
  const text = body.toString("utf8");
  const answer = parsedText(text);
  if (answer === null) return null;
  const answered = ownAmong(await owners.ownersOf(answeredWithin(answer, 0)), viewer);
  return revisedShown(answer, text, { ...viewer, answered });
}

/** Likewise for an answer that is the content alone of a state event of this type. */
export function echoedContent(type: string, body: Buffer, viewer: Viewer): Buffer | null {
  return revised(body, (answer) => (isJsonObject(answer) ? stateFromWire(type, answer, viewer) : answer));
}

function revised(body: Buffer, change: (answer: JsonValue) => JsonValue): Buffer | null {
  const text = body.toString("utf8");
  const answer = parsedText(text);
  return answer === null ? null : textIfOther(answer, text, change(answer));
}

/** In two steps: of a list that something is left out of, the text is known again before anything in it is changed. */
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

/** Null for what is no JSON. */
function parsedText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return null;
  }
}

/** The events that are answered in an answer. */
function answeredWithin(value: JsonValue, depth: number): readonly string[] {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return [];
  if (isJsonObject(value) && isEvent(value)) return answersOf(value);
  return Object.values(value).flatMap((inner) => answeredWithin(inner, depth + 1));
}

function answersOf(event: JsonObject): readonly string[] {
  const { content } = event;
  const answered = isJsonObject(content) ? answeredIn(content) : null;
  return answered === null ? [] : [answered];
}

/** The answer without the events that are left out of its lists; the same value where none is. */
function shownOf(value: JsonValue, viewer: Viewer, depth: number): JsonValue {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) {
    const next = value.filter((one) => !isHidden(one, viewer)).map((one) => shownOf(one, viewer, depth + 1));
    return next.length < value.length || next.some((one, index) => one !== value[index]) ? next : value;
  }
  if (isEvent(value)) return value;
  const next = Object.entries(value).map(([key, inner]) => [key, shownOf(inner, viewer, depth + 1)] as const);
  return next.some(([key, inner]) => inner !== value[key]) ? Object.fromEntries(next) : value;
}

/** The same value where nothing in it changes. */
function echoed(value: JsonValue, viewer: Viewer, depth: number): JsonValue {
  if (depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) {
    const next = value.map((one) => echoed(one, viewer, depth + 1));
    return next.some((one, index) => one !== value[index]) ? next : value;
  }
  if (!isJsonObject(value)) return value;
  if (isEvent(value)) return jsonFromWire(value, viewer);
  const next = Object.entries(value).map(([key, inner]) => [key, echoed(inner, viewer, depth + 1)] as const);
  return next.some(([key, inner]) => inner !== value[key]) ? Object.fromEntries(next) : value;
}

function isHidden(value: JsonValue | undefined, viewer: Viewer): boolean {
  return isJsonObject(value) && isEvent(value) && isAttendance(value, viewer);
}

function isEvent(value: JsonObject): boolean {
  return typeof value["sender"] === "string" && typeof value["type"] === "string" && isJsonObject(value["content"]);
}
