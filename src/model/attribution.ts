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

export function isSameOwner(one: Owner, other: Owner): boolean {
  return one.tenant === other.tenant && one.persona === other.persona;
}

/**
 * The content without anything, at any depth, that could be taken for a mark of ours: those are for Emissary to write. The same object where
 * there is nothing.
 */
export function withoutMarks(content: JsonObject): JsonObject {
  const all = Object.entries(content);
  const kept = all.filter(([key]) => !key.startsWith(OURS)).map(([key, value]) => [key, unmarked(value)] as const);
  const isSame = kept.length === all.length && kept.every(([, value], index) => value === all[index]?.[1]);
  return isSame ? content : Object.fromEntries(kept);
}

function unmarked(value: JsonValue): JsonValue {
  if (!Array.isArray(value)) return isJsonObject(value) ? withoutMarks(value) : value;
  const left = value.map(unmarked);
  return left.every((one, index) => one === value[index]) ? value : left;
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
 * @param call tells what the ID is used for, without a `~`: one of each endpoint is another (spec, "Transaction identifiers"), and
 *   Synapse asks for no more than the room where a request has a device
 */
export function txnIdAt(owner: Owner, call: string, txnId: string): string {
  return `${prefixOf(owner)}${call}~${txnId}`;
}

/** The owner's own transaction ID within one of the homeserver's, or null where that is not made so. */
export function ownTxnId(owner: Owner, sent: string): string | null {
  const prefix = prefixOf(owner);
  const end = sent.startsWith(prefix) ? sent.indexOf("~", prefix.length) : -1;
  return end === -1 ? null : sent.slice(end + 1);
}

function prefixOf({ tenant, persona }: Owner): string {
  const user = persona === null ? "" : localpartOf(persona).replaceAll("%", "%25").replaceAll("~", "%7E");
  return `${tenant}~${user}~`;
}
