import { ON_BEHALF_OF, ownerIn } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { RoomId, TenantId, UserId } from "../../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import type { Target } from "../outgoing.ts";
import type { Tenant } from "../../../model/tenant.ts";
import type { Upstream } from "../../../http/upstream.ts";

/**
 * Checks a target's owner. The pseudouser is shared, and the homeserver lets it redact and edit everything that it
 * sent. A tenant may do so only with its own events, whichever of its users sent them. An event that the tenant
 * redacted has lost its mark, but the redaction names the owner, so a repeated request succeeds. Other people's
 * events may be named, since the pseudouser cannot change them.
 * @returns the event as the homeserver has it
 * @throws EmissaryError `forbidden` if the event is another's, `not-found` if we can see no such event
 */
export async function requireTarget(
  upstream: Upstream,
  own: UserId,
  tenant: Tenant,
  roomId: RoomId,
  { eventId, mustBe, doing }: Target,
): Promise<JsonObject> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`;
  const { status, body } = await upstream.answer("GET", path, null);
  if (status !== 200 && status !== 403 && status !== 404) {
    throw new EmissaryError("homeserver-error", `Whose the event ${eventId} is cannot be told now; try again.`);
  }
  if (status !== 200) {
    throw new EmissaryError("not-found", `There is no event ${eventId} in ${roomId} that could be ${doing}.`);
  }
  const event = parsedObject(body);
  // It says whose the room is, and a redaction would remove that.
  if (mustBe !== "not-anothers" && event["type"] === "m.room.create") {
    throw new EmissaryError("forbidden", `The event ${eventId} made the room ${roomId}, and cannot be ${doing}.`);
  }
  if (mustBe !== "own" && event["sender"] !== own) return event;
  if (ownerIdOf(event, own) !== tenant.id) {
    throw notSentBy(tenant, eventId, doing);
  }
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
  if (event["sender"] !== own) return null;
  const unsigned = event["unsigned"];
  const redaction = isJsonObject(unsigned) ? unsigned["redacted_because"] : undefined;
  return markOf(event, own) ?? (isJsonObject(redaction) ? markOf(redaction, own) : null);
}

function markOf({ sender, content }: JsonObject, own: UserId): TenantId | null {
  return sender === own && isJsonObject(content) ? (ownerIn(content)?.tenant ?? null) : null;
}

/** @throws EmissaryError `forbidden` if the state exists and was set for another tenant */
export async function requireFreeState(
  upstream: Upstream,
  own: UserId,
  tenant: Tenant,
  statePath: string,
): Promise<void> {
  const { status, body } = await upstream.answer("GET", `${statePath}?format=event`, null);
  if (status !== 200 && status !== 404) {
    throw new EmissaryError("homeserver-error", "Whose this state is cannot be told now; try again.");
  }
  const owner = status === 200 ? ownerOfState(parsedObject(body), own) : null;
  if (owner !== null && owner !== tenant.id) {
    throw new EmissaryError(
      "forbidden",
      `This state was set for another tenant, so tenant ${tenant.id} cannot replace it.`,
    );
  }
}

/** Others can write the mark, so the sender counts (spec, CS API, "GET …/state/{eventType}/{stateKey}", `format`). */
function ownerOfState(answer: JsonObject, own: UserId): string | null {
  const { event_id, sender, content } = answer;
  const isEvent = typeof event_id === "string" && typeof sender === "string" && isJsonObject(content);
  // A homeserver without that format returns the content. Then the mark counts, whoever wrote it.
  if (!isEvent) return stringAt(answer, ON_BEHALF_OF);
  return ownerIdOf(answer, own);
}
