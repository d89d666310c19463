import type { Attendance } from "./attendance.ts";
import type { RoomEvent } from "../model/event.ts";
import type { RoomId, ServerName, TenantId, UserId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { Lease, LeaseEnd } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";

/** What the homeserver answered to a join or a leave. */
export type MoveAnswer =
  | { readonly outcome: "done" }
  /** A no that asking again will not change: `code` is the homeserver's errcode, `reason` its sentence. */
  | { readonly outcome: "refused"; readonly code: string; readonly reason: string }
  /** Worth another try, not before `retryAfter` milliseconds where the homeserver said so. */
  | { readonly outcome: "retry"; readonly code: string; readonly reason: string; readonly retryAfter: number | null };

export type MoveFailure = Exclude<MoveAnswer, { readonly outcome: "done" }>;

/** How the pseudouser is to join. */
export interface JoinWay {
  readonly via: readonly ServerName[];
  /** What the membership event tells everybody in the room; null for nothing. */
  readonly reason: string | null;
}

/** The pseudouser's moves. The keeper is the only caller. */
export interface PseudouserMoves {
  join(roomId: RoomId, way: JoinWay, abort: AbortSignal): Promise<MoveAnswer>;
  /** @param reason what the membership event tells everybody in the room; nothing where it is left out */
  leave(roomId: RoomId, abort: AbortSignal, reason?: string): Promise<MoveAnswer>;
  /** The pseudouser's own membership event as the homeserver holds it now; null where it has none or does not say. */
  ownMembership(roomId: RoomId, abort: AbortSignal): Promise<RoomEvent | null>;
}

/** A tenant's user that was invited by its own ID, and that is to be out of the room again. */
export interface StandIn {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly tenant: TenantId;
  /** What the room is told; null for what then is the case. */
  readonly reason: string | null;
  readonly tries: number;
}

/** Those that are to be out. Each call is one commit. */
export interface StandInStore {
  /** In place of what was written of the same user in the room. */
  add(standIn: Omit<StandIn, "tries">, lookAt: number): Promise<void>;
  /** Those whose time has come, the longest waiting first, at most `limit`. */
  due(now: number, limit: number): Promise<readonly StandIn[]>;
  /** When the next one's time comes; null for none. */
  nextDue(): Promise<number | null>;
  /** Also writes its tries. */
  scheduleRetry(standIn: StandIn, lookAt: number): Promise<void>;
  remove(roomId: RoomId, userId: UserId): Promise<void>;
}

/** What tenants' users do at the homeserver by themselves: come in to let the pseudouser in, and go. Each may be repeated. */
export interface StandInMoves {
  join(userId: UserId, roomId: RoomId, tenant: TenantId, abort: AbortSignal): Promise<MoveAnswer>;
  /** Invites the pseudouser. */
  invite(userId: UserId, roomId: RoomId, tenant: TenantId, abort: AbortSignal): Promise<MoveAnswer>;
  /** Leaves, or declines the invite. */
  leave(
    userId: UserId,
    roomId: RoomId,
    tenant: TenantId,
    reason: string | null,
    abort: AbortSignal,
  ): Promise<MoveAnswer>;
}

/** What `io.element.functional_members` (MSC4171) holds in a room. */
export interface ServiceMembers {
  /** Its content, an empty one where there is none. @throws EmissaryError where the homeserver does not tell it. */
  read(roomId: RoomId, abort: AbortSignal): Promise<JsonObject>;
  /** @throws EmissaryError where the homeserver does not take it. */
  write(roomId: RoomId, content: JsonObject, abort: AbortSignal): Promise<void>;
}

/** All that a decision about one room needs, read at one moment. */
export interface RoomSituation {
  readonly attendance: Attendance;
  /** Rises whenever something happens that the keeper is to look at. */
  readonly revision: number;
  readonly ownMembership: Membership | null;
  readonly leases: readonly Lease[];
  readonly via: readonly ServerName[];
}

/** How one lease's wish for presence stands. */
export interface LeaseProgress {
  readonly present: boolean;
  /** Why the lease ended; null while it lives. */
  readonly ended: LeaseEnd | null;
  readonly code: string | null;
  readonly reason: string | null;
}

/** What Emissary does in a room by itself, as the audit calls it. */
export type OwnDeed = "room.join" | "room.leave" | "room.decline" | "room.functional-member";

/** Where the keeper's intentions are kept. Each call is one commit. */
export interface AttendanceStore {
  /** After a start: whatever was under way, or does not agree with the leases, is looked at again. */
  recover(now: number): Promise<void>;
  /** Rooms whose time has come, the longest waiting first, at most `limit`. */
  due(now: number, limit: number, except: ReadonlySet<RoomId>): Promise<readonly RoomId[]>;
  /** When the next room's time comes, those in `except` left out; null for none. */
  nextDue(except: ReadonlySet<RoomId>): Promise<number | null>;
  situation(roomId: RoomId): Promise<RoomSituation>;
  /**
   * Writes what the keeper decided, if nothing has happened in the room since it read the situation (`revision`). False where
   * something has: nothing is written, the room is due, and the keeper decides anew.
   */
  save(attendance: Attendance, revision: number): Promise<boolean>;
  /**
   * Call it before the homeserver is asked to leave: a leave that was never asked for is somebody else's, and counts as their decision.
   * It holds until the homeserver tells that we are out, however late that is, and across a crash.
   */
  noteLeave(roomId: RoomId): Promise<void>;
  /** Notes the refusal in attendance and audit, and ends with it the room's leases up to the ID `newestLease`. */
  refuse(roomId: RoomId, code: string, reason: string, now: number, newestLease: number): Promise<void>;
  /** Notes in the audit what was carried out. */
  noteDeed(roomId: RoomId, action: OwnDeed, now: number): Promise<void>;
  progress(leaseId: number): Promise<LeaseProgress>;
}
