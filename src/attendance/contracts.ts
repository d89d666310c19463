import type { Attendance } from "../model/attendance.ts";
import type { RoomEvent, StateEvent } from "../model/event.ts";
import type { RoomId, ServerName } from "../model/ids.ts";
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

/** What `io.element.functional_members` (MSC4171) holds in a room. */
export interface ServiceMembers {
  /** Its content, an empty one where there is none. @throws EmissaryError where the homeserver does not tell it. */
  read(roomId: RoomId, abort: AbortSignal): Promise<JsonObject>;
  /** @throws EmissaryError where the homeserver does not take it. */
  write(roomId: RoomId, content: JsonObject, abort: AbortSignal): Promise<void>;
}

/** A room's whole current state, in pieces, so that a room of any size passes through bounded memory. */
export interface RoomStates {
  /** @throws EmissaryError where the homeserver does not give it. */
  stream(roomId: RoomId, abort: AbortSignal): AsyncIterable<readonly StateEvent[]>;
}

/** All that a decision about one room needs, read at one moment. */
export interface RoomSituation {
  readonly attendance: Attendance;
  /** Rises whenever something happens that the keeper is to look at. */
  readonly stirs: number;
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
   * Writes what the keeper decided, if nothing has happened in the room since it read the situation (`stirs`). False where
   * something has: nothing is written, the room is due, and the keeper decides anew.
   */
  save(attendance: Attendance, stirs: number): Promise<boolean>;
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
