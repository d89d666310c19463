import type { RoomEvent } from "./event.ts";
import { isTenantId, isUserId, localpartOf, type TenantId, type UserId } from "./ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "./json.ts";

/** What all marks of ours begin with, in events and in account data. */
const OURS = "org.matrix.msc1777.";

/**
 * Marks an event's content with the tenant that it was sent for. The mark is part of the event, so that whose it is can be told
 * from the room alone: after a restart, and with the database lost.
 */
export const ON_BEHALF_OF = "org.matrix.msc1777.on_behalf_of";
/** Names the tenant's user that it was sent as, where that is not the tenant's sender. */
export const AS_PERSONA = "org.matrix.msc1777.persona";

/** Whose an event is that the pseudouser sent. */
export interface Owner {
  readonly tenant: TenantId;
  /** Null for the tenant's own sender. */
  readonly persona: UserId | null;
}

/** The content without anything, at any depth, that could be taken for a mark of ours: those are for Emissary to write. */
export function withoutMarks(content: JsonObject): JsonObject {
  const kept = Object.entries(content).filter(([key]) => !key.startsWith(OURS));
  return Object.fromEntries(kept.map(([key, value]) => [key, unmarked(value)]));
}

function unmarked(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(unmarked);
  return isJsonObject(value) ? withoutMarks(value) : value;
}

/** Whose a content is by its marks, or null. Only in an event that the pseudouser sent do they say anything. */
export function ownerIn(content: JsonObject): Owner | null {
  const tenant = stringAt(content, ON_BEHALF_OF);
  if (tenant === null || !isTenantId(tenant)) return null;
  const persona = stringAt(content, AS_PERSONA);
  return { tenant, persona: persona !== null && isUserId(persona) ? persona : null };
}

/** Whose an event is, or null: only the pseudouser's own events are anybody's, whatever others write into theirs. */
export function ownerOf(event: Pick<RoomEvent, "sender" | "content">, own: UserId): Owner | null {
  return event.sender === own ? ownerIn(event.content) : null;
}

/**
 * The transaction ID that an event has at the homeserver. All tenants send with one token and share its space of IDs, so the owner
 * is part of it; the `~` stands for the sender, too, whose IDs would else meet a persona's. A localpart may have one of its own.
 */
export function txnIdAt({ tenant, persona }: Owner, txnId: string): string {
  const user = persona === null ? "" : localpartOf(persona).replaceAll("%", "%25").replaceAll("~", "%7E");
  return `${tenant}~${user}~${txnId}`;
}

/** The owner's own transaction ID within one of the homeserver's, or null where that is not made so. */
export function ownTxnId(owner: Owner, sent: string): string | null {
  const prefix = txnIdAt(owner, "");
  return sent.startsWith(prefix) ? sent.slice(prefix.length) : null;
}
