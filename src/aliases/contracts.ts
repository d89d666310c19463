import type { AuditEntry } from "../model/audit.ts";
import type { KnownAlias } from "./alias.ts";
import type { RoomAlias, RoomId, ServerName, UserId } from "../model/ids.ts";
import type { LeaseEnd } from "../model/lease.ts";

/** An alias, and what became of the lease that was taken for it. */
export interface AliasLine {
  readonly known: KnownAlias;
  /** Whether its lease in its room lives. */
  readonly isHeld: boolean;
  /** Whether the pseudouser is in the room. */
  readonly isPresent: boolean;
  /** How the newest lease ended; null for none that did. */
  readonly ended: LeaseEnd | null;
  readonly endedAt: number | null;
  /** What the keeper says of the room. */
  readonly attendance: { readonly code: string | null; readonly reason: string | null };
  /** The room that replaced it, through all upgrades that are known. */
  readonly replacement: RoomId | null;
  /** Other rooms, which the pseudouser is in, that have the alias for their canonical one; at most two. */
  readonly named: readonly RoomId[];
}

/** What is known of the room that an alias points to, and of our being there. */
export interface AliasFacts {
  readonly known: KnownAlias | null;
  /** Rooms in which the alias has a live lease. */
  readonly held: readonly RoomId[];
  /** How its newest lease in this room ended; null for none that did. */
  readonly ended: LeaseEnd | null;
  /** Whether an ordinary user is in the room: one that is no pseudouser. Null where that is not known. */
  readonly hasOrdinary: boolean | null;
  /** Routes to the room. */
  readonly via: readonly ServerName[];
}

/** Aliases of our server, and where they point. Each call is one commit. */
export interface AliasStore {
  /** In the order of the aliases. */
  page(after: RoomAlias | null, limit: number): Promise<readonly AliasLine[]>;
  line(alias: RoomAlias): Promise<AliasLine | null>;
  /** @param own the pseudouser, which is no ordinary user */
  facts(alias: RoomAlias, roomId: RoomId | null, own: UserId): Promise<AliasFacts>;
  /** False, and nothing is written, where the alias is new and there are `most` already. */
  put(alias: KnownAlias, most: number): Promise<boolean>;
  forget(alias: RoomAlias): Promise<void>;
  /** Those that point to the room. */
  ofRoom(roomId: RoomId, limit: number): Promise<readonly RoomAlias[]>;
  /** Live leases of aliases, those after `after` in the order of their numbers. */
  leases(
    after: number,
    limit: number,
  ): Promise<readonly { readonly id: number; readonly roomId: RoomId; readonly alias: RoomAlias }[]>;
  /** Rooms that the pseudouser is in, in the order of their IDs. */
  attended(after: RoomId | null, limit: number): Promise<readonly RoomId[]>;
  /** Writes what the operator did. */
  note(entry: AuditEntry, at: number): Promise<void>;
}

/** A part of a list of rooms, with the aliases that it names. */
export interface RoomPage {
  readonly rooms: readonly { readonly roomId: RoomId; readonly alias: RoomAlias | null }[];
  /** What names the next part; null for none. */
  readonly next: string | null;
}

/** What the homeserver knows of aliases. Every call throws EmissaryError where it cannot tell now. */
export interface AliasDirectory {
  /** Null where the alias is not known. */
  resolve(alias: RoomAlias): Promise<{ readonly roomId: RoomId; readonly via: readonly ServerName[] } | null>;
  /** Whether our own server is in the room. */
  isResident(roomId: RoomId): Promise<boolean>;
  /** The room that a room we are in says it replaces, by its `m.room.create`; null for none. @throws EmissaryError where that cannot be told */
  predecessorOf(roomId: RoomId): Promise<RoomId | null>;
  /** The room directory of our server. */
  listed(from: string | null): Promise<RoomPage>;
  /** Aliases of our server that point to a room which the pseudouser may read; empty where it may not. */
  aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]>;
  /** What an administrator of the homeserver may ask besides; null where we have no token of one. */
  readonly all: {
    rooms(from: string | null): Promise<RoomPage>;
    aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]>;
  } | null;
  /** @throws EmissaryError `refused-by-homeserver` where we may not */
  point(alias: RoomAlias, roomId: RoomId): Promise<void>;
  /** An alias that is not there counts as removed. @throws EmissaryError likewise */
  remove(alias: RoomAlias): Promise<void>;
}
