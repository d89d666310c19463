import type { RoomAlias, RoomId, TenantId, UserId } from "./ids.ts";

export const TENANT_ACTIONS = [
  "read",
  "send",
  "redact",
  "redact-others",
  "state",
  "room-state",
  "invite",
  "kick",
  "ban",
  "create",
  "timestamp",
] as const;
/**
 * What a tenant may do in its rooms. `redact` covers its own events only, and `redact-others` those that
 * other people sent, never another tenant's; `state` covers types outside `m.room.`, and
 * `room-state` those inside, except memberships, which have actions of their own; `create` covers rooms and aliases;
 * `timestamp` is the right to say when an event was sent (`?ts=`, spec, AS API, "Timestamp massaging").
 */
export type TenantAction = (typeof TENANT_ACTIONS)[number];

export const DEFAULT_ACTIONS: readonly TenantAction[] = ["read", "send", "redact"];

/** What the localparts of tenants' senders begin with. The underscore keeps them out of what people can register (spec, AS API). */
export const SENDER_PREFIX = "_emissary_";

/** The pattern of all rooms. Alone among patterns it is not the operator's word for a private room. */
export const ANY_ROOM = "*";

/** The room that an alias of a grant was granted for. */
export interface GrantPin {
  readonly alias: RoomAlias;
  readonly roomId: RoomId;
  readonly at: number;
  /** Where the alias was found to point instead when the tenant asked for it, and when that was; null where it was not. */
  readonly moved: { readonly to: RoomId; readonly at: number } | null;
}

/** What the operator allows a tenant. A tenant may do what any one of its grants allows. */
export interface Grant {
  /** ANY_ROOM alone, or room IDs, aliases, and globs (`*`, `?`) of either. */
  readonly rooms: readonly string[];
  /** For aliases without a wildcard: one that is not among these covers nothing. */
  readonly pins?: readonly GrantPin[];
  readonly actions: readonly TenantAction[];
  /** Event types or globs of them that `send`, `state` and `room-state` are for; null for every type. */
  readonly types: readonly string[] | null;
  /**
   * `invite`: made when the tenant was invited to the room and joined it; `upgrade`: when its lease followed to a room that replaced one
   * which a grant names.
   */
  readonly source: "operator" | "invite" | "upgrade";
}

/** An appservice or a bot that acts through the pseudouser. */
export interface Tenant {
  readonly id: TenantId;
  /** The user that the tenant takes itself for; it exists inside Emissary only. */
  readonly sender: UserId;
  /** Where the tenant wants its transactions, or null for one without a server of its own. */
  readonly url: string | null;
  /** The namespace of its personas, a regular expression, or null. */
  readonly users: string | null;
  readonly grants: readonly Grant[];
  /** Whether it wants typing, receipts and presence, too (MSC2409). */
  readonly ephemeral: boolean;
  /** Bytes that a transaction for it may have, where it has more than one event; null for as many as usual. */
  readonly maxTransaction: number | null;
  /** Certificates in PEM that alone vouch for the server at its URL; null for the public authorities. */
  readonly ca: string | null;
  /** Since when the operator has its deliveries held back, or null. */
  readonly pausedAt: number | null;
  readonly createdAt: number;
}
