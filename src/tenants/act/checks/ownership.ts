import { roomPath } from "../../../http/client-paths.ts";
import { ON_BEHALF_OF, ownerIn } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { RoomId, TenantId, UserId } from "../../../model/ids.ts";
import { isJsonObject, objectAt, parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import type { Tenant } from "../../../model/tenant.ts";
import type { Call } from "../act.ts";
import { objectFrom, undetermined } from "../homeserver.ts";
import type { Target } from "../outgoing.ts";

/**
 * Checks a target's owner and returns the event. The homeserver lets the pseudouser redact and edit everything that it
 * sent for any tenant. An event that the tenant redacted has lost its mark, but the redaction names the owner, so a
 * repeated request succeeds. Other people's events may be named, since the pseudouser cannot change them.
 * @throws EmissaryError `forbidden` if the event is another's, `not-found` if we can see no such event
 */
export async function requireTarget(
  { parts: { upstream, own }, tenant }: Call,
  roomId: RoomId,
  { eventId, mustBe, doing }: Target,
): Promise<JsonObject> {
  const { status, body } = await upstream.answer("GET", roomPath(roomId, "event", eventId), null);
  if (status === 403 || status === 404) {
    throw new EmissaryError("not-found", `There is no event ${eventId} in ${roomId} that could be ${doing}.`);
  }
  if (status !== 200) throw undetermined(`who sent the event ${eventId}`);
  const event = parsedObject(body);
  // It says whose the room is, and a redaction would remove that.
  if (mustBe !== "not-anothers" && event["type"] === "m.room.create") {
    throw new EmissaryError("forbidden", `The event ${eventId} made the room ${roomId}, and cannot be ${doing}.`);
  }
  if (mustBe !== "own" && event["sender"] !== own) return event;
  if (ownerIdOf(event, own) !== tenant.id) throw notSentBy(tenant, eventId, doing);
  return event;
}

export function notSentBy(tenant: Tenant, eventId: string, doing: string): EmissaryError {
  return new EmissaryError(
    "forbidden",
    `The event ${eventId} is not one that tenant ${tenant.id} sent, so it cannot be ${doing} by it.`,
  );
}

/** Returns the tenant of an event that the pseudouser sent, or null. The tenant's own redaction tells it too. */
function ownerIdOf(event: JsonObject, own: UserId): TenantId | null {
  const redaction = objectAt(objectAt(event, "unsigned"), "redacted_because");
  return event["sender"] === own ? (markOf(event, own) ?? markOf(redaction, own)) : null;
}

function markOf({ sender, content }: JsonObject, own: UserId): TenantId | null {
  return sender === own && isJsonObject(content) ? (ownerIn(content)?.tenant ?? null) : null;
}

/** @throws EmissaryError `forbidden` if the state exists and was set for another tenant */
export async function requireFreeState({ parts: { upstream, own }, tenant }: Call, statePath: string): Promise<void> {
  const state = await objectFrom(upstream, `${statePath}?format=event`, "who set this state");
  const owner = state === null ? null : ownerOfState(state, own);
  if (owner === null || owner === tenant.id) return;
  throw new EmissaryError(
    "forbidden",
    `This state was set for another tenant, so tenant ${tenant.id} cannot replace it.`,
  );
}

/** Others can write the mark, so the sender counts (spec, CS API, "GET …/state/{eventType}/{stateKey}", `format`). */
function ownerOfState(answer: JsonObject, own: UserId): string | null {
  const { event_id, sender, content } = answer;
  const isEvent = typeof event_id === "string" && typeof sender === "string" && isJsonObject(content);
  // A homeserver without that format returns the content. Then the mark counts, whoever wrote it.
  return isEvent ? ownerIdOf(answer, own) : stringAt(answer, ON_BEHALF_OF);
}
