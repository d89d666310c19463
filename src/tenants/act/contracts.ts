import type { Owner } from "../../model/attribution.ts";
import type { AuditEntry } from "../../model/audit.ts";
import type { EventId, RoomAlias, RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { PersonaInRoom, Profile } from "../../model/persona.ts";
import type { SentEvent } from "./sent.ts";

/** An audit entry. `sent` is the event, if a repeated request must return the same one. */
export interface Deed extends AuditEntry {
  readonly sent?: SentEvent;
}

export interface AuditWriter {
  /** Writes the entries and the sent events in one commit. */
  noteAll(deeds: readonly Deed[], at: number): Promise<void>;
}

/** Events that tenants sent, by transaction ID: the newest 20,000 of each tenant. */
export interface SentEvents {
  /** Returns the event that was sent with a transaction ID since then; null for none. */
  find(txnId: string, since: number): Promise<EventId | null>;
}

/** A user's annotation, and the homeserver's event that represents it. */
export interface Annotation {
  readonly eventId: EventId;
  readonly realId: EventId;
  readonly roomId: RoomId;
  readonly owner: Owner;
}

/** Annotations that several users share. Each call is one commit. */
export interface AnnotationStore {
  find(eventId: string): Promise<Annotation | null>;
  /** Returns all that share one event at the homeserver; empty if only one user has it. */
  group(realId: string): Promise<readonly Annotation[]>;
  countOf(tenant: TenantId): Promise<number>;
  /** Adds annotations. Existing ones stay unchanged. */
  add(annotations: readonly Annotation[]): Promise<void>;
  remove(eventId: string): Promise<void>;
}

/**
 * The users of tenants, their profiles, and the rooms they are in. All of it exists inside Emissary only. A user is
 * known once something about it is stored. Each call is one commit.
 */
export interface PersonaStore {
  /** Returns false if the user was known before. */
  register(tenant: TenantId, userId: UserId): Promise<boolean>;
  isKnown(tenant: TenantId, userId: UserId): Promise<boolean>;
  /** For a user without a profile both parts are null. */
  profile(tenant: TenantId, userId: UserId): Promise<Profile>;
  setProfile(tenant: TenantId, userId: UserId, part: Partial<Profile>): Promise<void>;
  /** Returns false and changes nothing if the tenant has no lease in the room. Idempotent. */
  enter(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean>;
  /** Returns how many users of the tenant remain in the room. If none does, also releases the tenant's lease. */
  exit(tenant: TenantId, roomId: RoomId, userId: UserId, now: number): Promise<number>;
  isIn(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean>;
  /** Ordered by user ID. */
  inRoom(tenant: TenantId, roomId: RoomId): Promise<readonly PersonaInRoom[]>;
  /** Returns the rooms that both the user and the pseudouser are in, ordered by ID. */
  roomsOf(tenant: TenantId, userId: UserId): Promise<readonly RoomId[]>;
}

/** Media IDs reserved by tenants, all the pseudouser's to the homeserver. Each call is one commit. */
export interface MediaReservations {
  /** Counts the tenant's reservations that have not expired. */
  countOf(tenant: TenantId, now: number): Promise<number>;
  /** Called before the tenant gets the ID. Also removes expired reservations. */
  add(mediaId: string, tenant: TenantId, expiresAt: number, now: number): Promise<void>;
  /** Returns the owner; null if the ID was never reserved, was uploaded to, or has expired. */
  ownerOf(mediaId: string, now: number): Promise<TenantId | null>;
  /** Called after the upload. */
  remove(mediaId: string): Promise<void>;
}

/** A room that a tenant is making, or was making when Emissary ended. */
export interface RoomMaking {
  readonly id: number;
  readonly tenant: TenantId;
  /** The alias to be made with the room; null for none, or if the alias existed before. */
  readonly alias: RoomAlias | null;
  /** Null until the homeserver has named it. */
  readonly roomId: RoomId | null;
}

/** Rooms that are being made. Each call is one commit. */
export interface RoomMakings {
  /** Called before the request to the homeserver. Returns the ID of the new entry. */
  begin(tenant: TenantId, alias: RoomAlias | null): Promise<number>;
  made(id: number, roomId: RoomId): Promise<void>;
  /** Called when the tenant has the room, or nothing of it is left. */
  end(id: number): Promise<void>;
  all(): Promise<readonly RoomMaking[]>;
}

/** Ephemeral events for one tenant: delivered soon, or never. */
export interface EphemeralOffers {
  offer(tenant: TenantId, event: JsonObject): void;
}
