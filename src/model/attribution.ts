import type { RoomEvent } from "./event.ts";
import { isTenantId, isUserId, localpartOf, type TenantId, type UserId } from "./ids.ts";
import { isJsonObject, stringAt, type JsonObject, type JsonValue } from "./json.ts";

/** Prefix of all our marks, in events and in account data. */
const OURS = "org.matrix.msc1777.";

/**
 * Marks an event's content with the tenant that it was sent for. The room alone thus tells the owner, even after a
 * restart or if the database is lost.
 */
export const ON_BEHALF_OF = "org.matrix.msc1777.on_behalf_of";
/** Names the tenant's user that sent the event, unless it is the tenant's sender. */
export const AS_PERSONA = "org.matrix.msc1777.persona";

/** The owner of an event that the pseudouser sent. */
export interface Owner {
  readonly tenant: TenantId;
  /** Null for the tenant's own sender. */
  readonly persona: UserId | null;
}

export function isSameOwner(one: Owner, other: Owner): boolean {
  return one.tenant === other.tenant && one.persona === other.persona;
}

/**
 * Removes anything, at any depth, that could be taken for our marks: only Emissary writes those. Returns the same
 * object if there is nothing to remove.
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

/** Returns the owner according to a content's marks, or null. They count only in events of the pseudouser. */
export function ownerIn(content: JsonObject): Owner | null {
  const tenant = stringAt(content, ON_BEHALF_OF);
  if (tenant === null || !isTenantId(tenant)) return null;
  const persona = stringAt(content, AS_PERSONA);
  return { tenant, persona: persona !== null && isUserId(persona) ? persona : null };
}

/** Returns an event's owner, or null. Only the pseudouser's events have one, whatever others write into theirs. */
export function ownerOf(event: Pick<RoomEvent, "sender" | "content">, own: UserId): Owner | null {
  return event.sender === own ? ownerIn(event.content) : null;
}

/**
 * Returns an event's transaction ID at the homeserver. All tenants send with one token, so the ID contains the owner.
 * The `~` is there for the sender, too: its IDs could otherwise collide with a persona's.
 * @param call names the use of the ID, without a `~`: per spec ("Transaction identifiers") each endpoint has its own
 * IDs, but Synapse compares only the room if a request has a device
 */
export function txnIdAt(owner: Owner, call: string, txnId: string): string {
  return `${prefixOf(owner)}${call}~${txnId}`;
}

/** Returns the owner's transaction ID in a homeserver's one, or null if `txnIdAt` did not make it for this owner. */
export function ownTxnId(owner: Owner, sent: string): string | null {
  const prefix = prefixOf(owner);
  const end = sent.startsWith(prefix) ? sent.indexOf("~", prefix.length) : -1;
  return end === -1 ? null : sent.slice(end + 1);
}

function prefixOf({ tenant, persona }: Owner): string {
  const user = persona === null ? "" : localpartOf(persona).replaceAll("%", "%25").replaceAll("~", "%7E");
  return `${tenant}~${user}~`;
}
