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
 * What a tenant may do in its rooms. `redact` covers its own events; `redact-others` other people's, never another
 * tenant's. `state` covers types outside `m.room.`; `room-state` those inside, except memberships, which have their
 * own actions. `create` covers rooms and aliases; `timestamp`, an event's time (`?ts=`, spec, AS API, "Timestamp
 * massaging").
 */
export type TenantAction = (typeof TENANT_ACTIONS)[number];

export const DEFAULT_ACTIONS: readonly TenantAction[] = ["read", "send", "redact"];

/** Prefix of the localparts of tenants' senders. The underscore keeps people from registering them (spec, AS API). */
export const SENDER_PREFIX = "_emissary_";

/** The pattern of all rooms. It is the only pattern that does not permit private rooms. */
export const ANY_ROOM = "*";

/** The room that an alias of a grant was granted for. */
export interface GrantPin {
  readonly alias: RoomAlias;
  readonly roomId: RoomId;
  readonly at: number;
  /** Where the alias pointed instead when the tenant asked for it, and when; null if it did not. */
  readonly moved: { readonly to: RoomId; readonly at: number } | null;
}

/** What the operator allows a tenant. Each grant allows by itself. */
export interface Grant {
  /** ANY_ROOM alone, or room IDs, aliases, and globs (`*`, `?`) of either. */
  readonly rooms: readonly string[];
  /** For aliases without a wildcard. An alias without a pin covers nothing. */
  readonly pins?: readonly GrantPin[];
  readonly actions: readonly TenantAction[];
  /** Event types, or globs, for `send`, `state` and `room-state`; null for every type. */
  readonly types: readonly string[] | null;
  /** `invite`: made when the tenant joined after an invite; `upgrade`: when its lease followed an upgrade. */
  readonly source: "operator" | "invite" | "upgrade";
}

/** An appservice or a bot that acts through the pseudouser. */
export interface Tenant {
  readonly id: TenantId;
  /** The tenant's own user ID in its view; it exists inside Emissary only. */
  readonly sender: UserId;
  /** Address for its transactions; null for a tenant without a server. */
  readonly url: string | null;
  /** The namespace of its personas, a regular expression; null for none. */
  readonly users: string | null;
  readonly grants: readonly Grant[];
  /** Whether it also receives typing, receipts and presence (MSC2409). */
  readonly ephemeral: boolean;
  /** Most bytes of a transaction with more than one event; null for the default. */
  readonly maxTransaction: number | null;
  /** Certificates in PEM that replace the public authorities for its server; null for the public ones. */
  readonly ca: string | null;
  /** When the operator paused its deliveries; null if they are not paused. */
  readonly pausedAt: number | null;
  readonly createdAt: number;
}
