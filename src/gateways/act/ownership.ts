import { EmissaryError } from "../../model/errors.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isJsonObject, parsedObject, stringAt, type JsonObject } from "../../model/json.ts";
import type { Tenant } from "../../model/tenant.ts";
import type { Upstream } from "../../platform/http/upstream.ts";

/**
 * Marks an event's content with the tenant that it was sent for. The mark is part of the event, so that whose it is can be told
 * from the room alone: after a restart, and with the database lost.
 */
export const ON_BEHALF_OF = "org.matrix.msc1777.on_behalf_of";

export function markedFor(tenant: Tenant, content: JsonObject): JsonObject {
  return { ...content, [ON_BEHALF_OF]: tenant.id };
}

/**
 * The pseudouser is shared, and the homeserver lets it redact and edit whatever it sent. A tenant may so treat its own only.
 * @throws EmissaryError `forbidden` where the event is not this tenant's, `not-found` where there is none that we can see.
 */
export async function requireOwnEvent(
  upstream: Upstream,
  own: UserId,
  tenant: Tenant,
  roomId: RoomId,
  eventId: string,
  doing: string,
): Promise<void> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`;
  const { status, body } = await upstream.answer("GET", path, null);
  if (status !== 200) {
    throw new EmissaryError("not-found", `There is no event ${eventId} in ${roomId} that could be ${doing}.`);
  }
  const event = parsedObject(body);
  const content = event["content"];
  const owner = isJsonObject(content) ? stringAt(content, ON_BEHALF_OF) : null;
  if (event["sender"] !== own || owner !== tenant.id) {
    throw new EmissaryError(
      "forbidden",
      `The event ${eventId} is not one that tenant ${tenant.id} sent, so it cannot be ${doing} by it.`,
    );
  }
}

/** @throws EmissaryError `forbidden` where the state is there and was set for another tenant. */
export async function requireFreeState(upstream: Upstream, tenant: Tenant, statePath: string): Promise<void> {
  const { status, body } = await upstream.answer("GET", statePath, null);
  if (status !== 200 && status !== 404) {
    throw new EmissaryError("homeserver-error", "Whose this state is cannot be told now; try again.");
  }
  const owner = status === 200 ? stringAt(parsedObject(body), ON_BEHALF_OF) : null;
  if (owner !== null && owner !== tenant.id) {
    throw new EmissaryError(
      "forbidden",
      `This state was set for another tenant, so tenant ${tenant.id} cannot replace it.`,
    );
  }
}
