import type { Attendance } from "./attendance.ts";
import type { RoomEvent } from "../model/event.ts";
import type { RoomId, ServerName, TenantId, UserId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { Lease, LeaseEnd } from "../model/lease.ts";
import type { Membership } from "../model/membership.ts";

export type MoveAnswer =
  | { readonly outcome: "done" }
  /** A refusal that another try will not change: `code` is the homeserver's errcode, `reason` its sentence. */
  | { readonly outcome: "refused"; readonly code: string; readonly reason: string }
  /** Worth another try, but not before `retryAfter` milliseconds if the homeserver gave them. */
  | { readonly outcome: "retry"; readonly code: string; readonly reason: string; readonly retryAfter: number | null };

export type MoveFailure = Exclude<MoveAnswer, { readonly outcome: "done" }>;

export interface JoinWay {
  readonly via: readonly ServerName[];
  /** The reason in the membership event, which everybody in the room sees; null for none. */
  readonly reason: string | null;
}

/** The pseudouser's moves. The keeper is the only caller. */
export interface PseudouserMoves {
  join(roomId: RoomId, way: JoinWay, abort: AbortSignal): Promise<MoveAnswer>;
  /** @param reason the reason in the membership event, which everybody in the room sees; none if omitted */
  leave(roomId: RoomId, abort: AbortSignal, reason?: string): Promise<MoveAnswer>;
  /**
   * Returns the pseudouser's own membership event as the homeserver has it now; null if it has none or does not say.
   */
  ownMembership(roomId: RoomId, abort: AbortSignal): Promise<RoomEvent | null>;
}

/** A tenant's user that was invited by its own ID and must leave the room again. */
export interface StandIn {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly tenant: TenantId;
  /** What the room is told; null for a reason chosen at that time. */
  readonly reason: string | null;
  readonly tries: number;
}

/** Stand-ins that must leave. Each call is one commit. */
export interface StandInStore {
  /** Replaces any entry of the same user in the room. */
  add(standIn: Omit<StandIn, "tries">, lookAt: number): Promise<void>;
  /** Returns due stand-ins, the longest waiting first, at most `limit`. */
  due(now: number, limit: number): Promise<readonly StandIn[]>;
  /** Returns when the next one is due; null if there is none. */
  nextDue(): Promise<number | null>;
  /** Also writes its number of tries. */
  scheduleRetry(standIn: StandIn, lookAt: number): Promise<void>;
  remove(roomId: RoomId, userId: UserId): Promise<void>;
}

/** Moves of tenants' users: they come in to let the pseudouser in, and leave. Each may be repeated. */
export interface StandInMoves {
  join(userId: UserId, roomId: RoomId, tenant: TenantId, abort: AbortSignal): Promise<MoveAnswer>;
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

/** The content of a room's `io.element.functional_members` (MSC4171). */
export interface ServiceMembers {
  /**
   * Returns the content, empty if there is none.
   * @throws EmissaryError if the homeserver does not answer with it.
   */
  read(roomId: RoomId, abort: AbortSignal): Promise<JsonObject>;
  /** @throws EmissaryError if the homeserver does not accept it. */
  write(roomId: RoomId, content: JsonObject, abort: AbortSignal): Promise<void>;
}

/** All that a decision about one room needs, read at one moment. */
export interface RoomSituation {
  readonly attendance: Attendance;
  /** Rises with every change in the room that the keeper must look at. */
  readonly revision: number;
  readonly ownMembership: Membership | null;
  readonly leases: readonly Lease[];
  readonly via: readonly ServerName[];
}

/** How far the join for a lease has come. */
export interface LeaseProgress {
  readonly present: boolean;
  /** Why the lease ended; null while it lives. */
  readonly ended: LeaseEnd | null;
  readonly code: string | null;
  readonly reason: string | null;
}

/** Actions that Emissary takes in a room by itself, as the audit names them. */
export type OwnDeed = "room.join" | "room.leave" | "room.decline" | "room.functional-member";

/** Stores the keeper's intentions. Each call is one commit. */
export interface AttendanceStore {
  /**
   * Call it at start. Makes every room due that had a move under way or whose attendance disagrees with the leases.
   */
  recover(now: number): Promise<void>;
  /** Returns due rooms, the longest waiting first, at most `limit`. */
  due(now: number, limit: number, except: ReadonlySet<RoomId>): Promise<readonly RoomId[]>;
  /** Returns when the next room outside `except` is due; null if there is none. */
  nextDue(except: ReadonlySet<RoomId>): Promise<number | null>;
  situation(roomId: RoomId): Promise<RoomSituation>;
  /**
   * Writes the keeper's decision if nothing changed in the room since it read the situation (`revision`). Otherwise it
   * writes nothing and returns false; the room is due, and the keeper decides again.
   */
  save(attendance: Attendance, revision: number): Promise<boolean>;
  /**
   * Notes that we are about to leave. Call it before you ask the homeserver: a leave without a note counts as somebody
   * else's decision. The note holds across crashes until the homeserver tells that we are out, however late.
   */
  noteLeave(roomId: RoomId): Promise<void>;
  /** Writes the refusal to attendance and audit, and ends the room's leases up to the ID `newestLease`. */
  refuse(roomId: RoomId, code: string, reason: string, now: number, newestLease: number): Promise<void>;
  /** Writes an action to the audit. */
  noteDeed(roomId: RoomId, action: OwnDeed, now: number): Promise<void>;
  progress(leaseId: number): Promise<LeaseProgress>;
}
