import type { AuditEntry } from "../model/audit.ts";
import type { KnownAlias } from "./alias.ts";
import type { RoomAlias, RoomId, ServerName, UserId } from "../model/ids.ts";
import type { LeaseEnd } from "../model/lease.ts";

/** An alias, and the state of the lease that was taken for it. */
export interface AliasLine {
  readonly known: KnownAlias;
  /** Whether its lease in its room is live. */
  readonly isHeld: boolean;
  readonly isPresent: boolean;
  /** How the newest ended lease ended; null if none did. */
  readonly ended: LeaseEnd | null;
  readonly endedAt: number | null;
  /** The keeper's state of the room. */
  readonly attendance: { readonly code: string | null; readonly reason: string | null };
  /** The room that replaced this one, through all known upgrades. */
  readonly replacement: RoomId | null;
  /** Other rooms with the pseudouser in them whose canonical alias is this one; at most two. */
  readonly named: readonly RoomId[];
}

/** What is known of the room that an alias points to, and of our leases there. */
export interface AliasFacts {
  readonly known: KnownAlias | null;
  readonly held: readonly RoomId[];
  /** How the alias's newest lease in this room ended; null if none did. */
  readonly ended: LeaseEnd | null;
  /** Whether a user other than pseudousers is in the room. Null if not known. */
  readonly hasOrdinary: boolean | null;
  readonly via: readonly ServerName[];
}

/** Stores aliases of our server and where they point. Each call is one commit. */
export interface AliasStore {
  /** Returns the next aliases, ordered by alias. */
  page(after: RoomAlias | null, limit: number): Promise<readonly AliasLine[]>;
  line(alias: RoomAlias): Promise<AliasLine | null>;
  /** @param own the pseudouser, which is no ordinary user */
  facts(alias: RoomAlias, roomId: RoomId | null, own: UserId): Promise<AliasFacts>;
  /** Stores an alias. Returns false, and writes nothing, if the alias is new and there are `most` already. */
  put(alias: KnownAlias, most: number): Promise<boolean>;
  forget(alias: RoomAlias): Promise<void>;
  /** Returns the aliases that point to the room. */
  ofRoom(roomId: RoomId, limit: number): Promise<readonly RoomAlias[]>;
  /** Returns live leases of aliases with numbers above `after`, in order. */
  leases(
    after: number,
    limit: number,
  ): Promise<readonly { readonly id: number; readonly roomId: RoomId; readonly alias: RoomAlias }[]>;
  /** Returns rooms that the pseudouser is in, ordered by ID. */
  attended(after: RoomId | null, limit: number): Promise<readonly RoomId[]>;
  /** Writes an audit row for an action of the operator. */
  note(entry: AuditEntry, at: number): Promise<void>;
}

/** A page of a list of rooms, with the aliases in it. */
export interface RoomPage {
  readonly rooms: readonly { readonly roomId: RoomId; readonly alias: RoomAlias | null }[];
  /** The token of the next page; null on the last. */
  readonly next: string | null;
}

/** The homeserver's aliases. Each call throws EmissaryError if the homeserver cannot answer now. */
export interface AliasDirectory {
  /** Returns null if the alias is unknown. */
  resolve(alias: RoomAlias): Promise<{ readonly roomId: RoomId; readonly via: readonly ServerName[] } | null>;
  /** Whether our own server is in the room. */
  isResident(roomId: RoomId): Promise<boolean>;
  /**
   * Returns the room that an attended room says it replaces (`m.room.create`), or null.
   * @throws EmissaryError if that cannot be found out
   */
  predecessorOf(roomId: RoomId): Promise<RoomId | null>;
  /** Returns a page of our server's room directory. */
  listed(from: string | null): Promise<RoomPage>;
  /** Returns the aliases of our server that point to a room. Empty if the pseudouser may not read the room. */
  aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]>;
  /** The calls that need an administrator's token; null if we have none. */
  readonly all: {
    rooms(from: string | null): Promise<RoomPage>;
    aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]>;
  } | null;
  /** Creates the alias. @throws EmissaryError `refused-by-homeserver` if we may not */
  point(alias: RoomAlias, roomId: RoomId): Promise<void>;
  /** Removes the alias. Succeeds if the alias does not exist. @throws EmissaryError as point does */
  remove(alias: RoomAlias): Promise<void>;
}
