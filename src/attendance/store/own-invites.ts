import type { LedgerFollower, Moment, NumberedRoom, OwnChange } from "../../ledger/follower.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";
import { FOLLOWS } from "./lease-book.ts";

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
  /** Whether this room replaces one with leases, according to that room, or to the inviter only. */
  readonly isOfUpgrade: boolean;
}

/** When to look at an invite again; null for never. */
export interface NextLook {
  readonly invite: OwnInvite;
  readonly at: number | null;
}

type Row = Omit<OwnInvite, "isHeld" | "isOfUpgrade"> & { readonly isHeld: number; readonly isOfUpgrade: number };

/** Whether room `r` replaces a room with leases that could follow, according to that room or to the inviter. */
const IS_OF_UPGRADE = `EXISTS (SELECT 1 FROM room_state o JOIN leases l ON l.room_nr = o.room_nr
    WHERE o.field = 'replacement' AND o.value = r.room_id AND ${FOLLOWS})
  OR EXISTS (SELECT 1 FROM rooms o JOIN leases l ON l.room_nr = o.nr WHERE o.room_id = r.claims AND ${FOLLOWS})`;

/** The pseudouser's open invites. Each call is one commit. */
export class OwnInviteStore extends Store implements LedgerFollower {
  // The plus keeps SQLite from scanning all invites, answered or not, instead of the due ones.
  readonly #due = this.sql<[string, number, number], Row>(`
    SELECT r.room_id AS roomId, r.own_event AS eventId, m.sender AS inviter, r.own_reason AS reason,
      s.value AS canonicalAlias, r.changed_at AS at,
      EXISTS (SELECT 1 FROM leases l WHERE l.room_nr = r.nr AND l.ended_at IS NULL) AS isHeld,
      ${IS_OF_UPGRADE} AS isOfUpgrade
    FROM rooms r JOIN members m ON m.room_nr = r.nr AND m.user_id = ?
    LEFT JOIN room_state s ON s.room_nr = r.nr AND s.field = 'alias'
    WHERE r.invite_at <= ? AND +r.own_membership = 'invite' ORDER BY r.invite_at LIMIT ?`);
  readonly #nextDue = this.value<[], number | null>("SELECT min(invite_at) FROM rooms WHERE invite_at IS NOT NULL");
  readonly #settle = this.sql<[number | null, string, string | null]>(
    "UPDATE rooms SET invite_at = ? WHERE room_id = ? AND own_event IS ? AND invite_at IS NOT NULL",
  );
  readonly #came = this.sql<[number | null, string | null, number]>(
    "UPDATE rooms SET invite_at = ?, claims = ? WHERE nr = ?",
  );

  /** An invite is due from its arrival for as long as it is open. */
  own({ nr }: NumberedRoom, { membership, claims }: OwnChange, { now }: Moment): void {
    this.#came.run(membership === "invite" ? now : null, claims, nr);
  }

  /** Returns due invites, the longest waiting first, at most `limit`. */
  async due(own: UserId, now: number, limit: number): Promise<readonly OwnInvite[]> {
    return this.#due
      .all(own, now, limit)
      .map((row) => ({ ...row, isHeld: row.isHeld === 1, isOfUpgrade: row.isOfUpgrade === 1 }));
  }

  /** Returns when the next one is due; null if there is none. */
  async nextDue(): Promise<number | null> {
    return this.#nextDue.get() ?? null;
  }

  /** Writes when to look at each invite again. An invite that another has replaced meanwhile is left alone. */
  async settle(looks: readonly NextLook[]): Promise<void> {
    this.commit(() => {
      for (const { invite, at } of looks) this.#settle.run(at, invite.roomId, invite.eventId);
    });
  }
}
