import type { Owner } from "../../model/attribution.ts";
import type { AuditEntry } from "../../model/audit.ts";
import type { EventId, RoomAlias, RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import type { PersonaInRoom, Profile } from "../../model/persona.ts";
import type { SentEvent } from "./sent.ts";

/** What is audited, and the event that it is, where a repetition is to be the same one. */
export interface Deed extends AuditEntry {
  readonly sent?: SentEvent;
}

export interface AuditWriter {
  /** Writes the entries, and the events that were sent, in one commit. */
  noteAll(deeds: readonly Deed[], at: number): Promise<void>;
}

/** Events that tenants sent, by their transaction IDs: 20,000 of each tenant. */
export interface SentEvents {
  /** The event that a transaction ID was used for since then; null for none. */
  find(txnId: string, since: number): Promise<EventId | null>;
}

/** A user's annotation, and the homeserver's event that it is one with. */
export interface Annotation {
  readonly eventId: EventId;
  readonly realId: EventId;
  readonly roomId: RoomId;
  readonly owner: Owner;
}

/** Annotations that several users share. Each call is one commit. */
export interface AnnotationStore {
  find(eventId: string): Promise<Annotation | null>;
  /** All that are one at the homeserver; none where only one user has it. */
  group(realId: string): Promise<readonly Annotation[]>;
  countOf(tenant: TenantId): Promise<number>;
  /** Those that are there stay as they are. */
  add(annotations: readonly Annotation[]): Promise<void>;
  remove(eventId: string): Promise<void>;
}

/**
 * The users of tenants, their profiles, and the rooms they are in. All of it exists inside Emissary only. A user is known from the
 * first thing that is to be remembered of it. Each call is one commit.
 */
export interface PersonaStore {
  /** False where the user was known before. */
  register(tenant: TenantId, userId: UserId): Promise<boolean>;
  isKnown(tenant: TenantId, userId: UserId): Promise<boolean>;
  /** Of a user that has none: both parts null. */
  profile(tenant: TenantId, userId: UserId): Promise<Profile>;
  setProfile(tenant: TenantId, userId: UserId, part: Partial<Profile>): Promise<void>;
  /** False, and nothing changes, where the tenant has no lease in the room. Repeating changes nothing. */
  enter(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean>;
  /** How many users of the tenant are in the room afterwards. Where none is left, the tenant's lease there is released with it. */
  exit(tenant: TenantId, roomId: RoomId, userId: UserId, now: number): Promise<number>;
  isIn(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean>;
  /** In the order of their IDs. */
  inRoom(tenant: TenantId, roomId: RoomId): Promise<readonly PersonaInRoom[]>;
  /** Rooms that the user is in and the pseudouser is present in, in the order of their IDs. */
  roomsOf(tenant: TenantId, userId: UserId): Promise<readonly RoomId[]>;
}

/**
 * Media IDs that tenants reserved at the homeserver, to upload to later. To the homeserver they are the pseudouser's, whoever asked
 * for them. Each call is one commit.
 */
export interface MediaReservations {
  /** How many of a tenant's have not run out. */
  countOf(tenant: TenantId, now: number): Promise<number>;
  /** Before the tenant is told of it. Whatever has run out is forgotten with it. */
  add(mediaId: string, tenant: TenantId, expiresAt: number, now: number): Promise<void>;
  /** Whose it is; null where nobody was given it, it was uploaded, or it has run out. */
  ownerOf(mediaId: string, now: number): Promise<TenantId | null>;
  /** It was uploaded. */
  remove(mediaId: string): Promise<void>;
}

/** A room that a tenant is making, or was when we ended. */
export interface RoomMaking {
  readonly id: number;
  readonly tenant: TenantId;
  /** The alias that comes with it; null where there is none, or it was there before. */
  readonly alias: RoomAlias | null;
  /** Null until the homeserver has named it. */
  readonly roomId: RoomId | null;
}

/** Rooms that are being made. Each call is one commit. */
export interface RoomMakings {
  /** Before the homeserver is asked; the ID of what is begun. */
  begin(tenant: TenantId, alias: RoomAlias | null): Promise<number>;
  made(id: number, roomId: RoomId): Promise<void>;
  /** The tenant has the room, or nothing of it is left. */
  end(id: number): Promise<void>;
  all(): Promise<readonly RoomMaking[]>;
}

/** Ephemeral events for one tenant: given to it soon, or never. */
export interface EphemeralOffers {
  offer(tenant: TenantId, event: JsonObject): void;
}
