import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";

/** An invite of the pseudouser that nobody has answered. */
export interface OwnInvite {
  readonly roomId: RoomId;
  readonly eventId: EventId | null;
  readonly inviter: UserId;
  readonly reason: string | null;
  /** The room's alias, where we know of one. */
  readonly canonicalAlias: string | null;
  /** When it came. */
  readonly at: number;
  /** Whether somebody has a lease there: then it is the keeper's. */
  readonly isHeld: boolean;
  /** Whether a room with leases says that this one replaces it; or this one says so, which is the inviter's word. */
  readonly isOfUpgrade: boolean;
}

/** When an invite is to be looked at again; null for never. */
export interface NextLook {
  readonly invite: OwnInvite;
  readonly at: number | null;
}

/** The pseudouser's open invites. Each call is one commit. */
export interface OwnInviteStore {
  /** Those whose time has come, the longest waiting first, at most `limit`. */
  due(own: UserId, now: number, limit: number): Promise<readonly OwnInvite[]>;
  /** When the next one's time comes; null for none. */
  nextDue(): Promise<number | null>;
  /** Writes when each is to be looked at again. One that another has replaced meanwhile is left alone. */
  settle(looks: readonly NextLook[]): Promise<void>;
}

/** The pseudouser's `m.invite_permission_config` (spec v1.18, "Invite permission"; MSC4380). Throws EmissaryError where it cannot be asked. */
export interface InvitePermission {
  /** Whether this homeserver goes by it. */
  isKnown(): Promise<boolean>;
  /** Null where it was never set. */
  read(): Promise<JsonObject | null>;
  write(content: JsonObject): Promise<void>;
}
