import { ON_BEHALF_OF, ownerIn } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import type { RoomId, TenantId, UserId } from "../../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject } from "../../../model/json.ts";
import type { Target } from "../outgoing.ts";
import type { Tenant } from "../../../model/tenant.ts";
import type { Upstream } from "../../../http/upstream.ts";

/**
 * The pseudouser is shared, and the homeserver lets it redact and edit whatever it sent. A tenant may so treat its own only,
 * whichever of its users sent it. One that the tenant has redacted no longer says whose it was, but the redaction does: it may
 * be asked for again, by a repeated request. What other people sent is not the pseudouser's to change, so it may be named.
 * @returns the event as the homeserver has it
 * @throws EmissaryError `forbidden` where the event is another's, `not-found` where there is none that we can see.
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
  // It says whose the room is, and would not say so any more.
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

/** The tenant that the pseudouser sent an event for, or null. One that the tenant itself redacted is told by the redaction. */
function ownerIdOf(event: JsonObject, own: UserId): TenantId | null {
  if (event["sender"] !== own) return null;
  const unsigned = event["unsigned"];
  const redaction = isJsonObject(unsigned) ? unsigned["redacted_because"] : undefined;
  return markOf(event, own) ?? (isJsonObject(redaction) ? markOf(redaction, own) : null);
}

function markOf({ sender, content }: JsonObject, own: UserId): TenantId | null {
  return sender === own && isJsonObject(content) ? (ownerIn(content)?.tenant ?? null) : null;
}

/** @throws EmissaryError `forbidden` where the state is there and was set for another tenant. */
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

/** Others can write the mark into what they set; who set it is told by `format=event` (spec, CS API, "GET …/state/{eventType}/{stateKey}"). */
function ownerOfState(answer: JsonObject, own: UserId): string | null {
  const { event_id, sender, content } = answer;
  const isEvent = typeof event_id === "string" && typeof sender === "string" && isJsonObject(content);
  // A homeserver that does not know the format answers with the content: the mark in it then counts, whoever wrote it.
  if (!isEvent) return stringAt(answer, ON_BEHALF_OF);
  return ownerIdOf(answer, own);
}
