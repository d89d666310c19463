import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";

/** An open invite of the pseudouser. */
export interface OwnInvite {
  readonly roomId: RoomId;
  readonly eventId: EventId | null;
  readonly inviter: UserId;
  readonly reason: string | null;
  /** The room's alias, if we know one. */
  readonly canonicalAlias: string | null;
  readonly at: number;
  /** Whether the room has a lease: then the keeper handles the invite. */
  readonly isHeld: boolean;
  /**
   * Whether a room with leases names this one as its replacement, or this one names such a room as its predecessor,
   * which only the inviter says.
   */
  readonly isOfUpgrade: boolean;
}

/** When to look at an invite again; null for never. */
export interface NextLook {
  readonly invite: OwnInvite;
  readonly at: number | null;
}

/** The pseudouser's open invites. Each call is one commit. */
export interface OwnInviteStore {
  /** Returns due invites, the longest waiting first, at most `limit`. */
  due(own: UserId, now: number, limit: number): Promise<readonly OwnInvite[]>;
  /** Returns when the next one is due; null if there is none. */
  nextDue(): Promise<number | null>;
  /** Writes when to look at each invite again. An invite that another has replaced meanwhile is left alone. */
  settle(looks: readonly NextLook[]): Promise<void>;
}

/**
 * The pseudouser's `m.invite_permission_config` (spec v1.18, "Invite permission"; MSC4380). Throws EmissaryError if
 * the homeserver cannot be asked.
 */
export interface InvitePermission {
  /** Returns whether this homeserver supports it. */
  isKnown(): Promise<boolean>;
  /** Returns null if it was never set. */
  read(): Promise<JsonObject | null>;
  write(content: JsonObject): Promise<void>;
}
