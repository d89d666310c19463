import { HEROES, type Heads } from "../sync/summary.ts";
import type { EventId, RoomId, TenantId, UserId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

/** An invite that is not known to be accepted, declined or revoked. */
export interface OpenInvite {
  readonly roomId: RoomId;
  readonly user: UserId;
  readonly sender: UserId;
  readonly eventId: EventId;
  /** The reason of the pseudouser's invite; null for others. */
  readonly reason: string | null;
}

/** The viewer for whom members are counted: a tenant's user, from whom the pseudouser is hidden. */
export interface HeadsViewer {
  readonly tenant: TenantId;
  readonly user: UserId;
  readonly own: UserId;
}

type Named = HeadsViewer & { readonly nr: number };

/** Members other than the pseudouser and the tenant's users. */
const OTHERS = `
  FROM members m WHERE m.room_nr = @nr AND m.user_id <> @own AND NOT EXISTS
    (SELECT 1 FROM persona_rooms p WHERE p.tenant = @tenant AND p.room_nr = @nr AND p.user_id = m.user_id)`;

/** What `/sync` tells about rooms besides their events, from the ledger. */
export class SyncFactsStore extends Store {
  // The partial index leads to few rooms. Rooms that we heard of later have higher numbers.
  readonly #invites = this.sql<[string, string, number], OpenInvite>(`
    SELECT r.room_id AS roomId, m.user_id AS user, m.sender, m.event_id AS eventId,
      CASE WHEN m.user_id = ? THEN r.own_reason END AS reason
    FROM members m JOIN rooms r ON r.nr = m.room_nr WHERE m.membership = 'invite'
      AND substr(m.user_id, instr(m.user_id, ':')) = ? ORDER BY m.room_nr DESC LIMIT ?`);
  readonly #room = this.sql<[string], { nr: number; joined: number; named: number }>(`
    SELECT nr, joined_members AS joined,
      EXISTS (SELECT 1 FROM room_state WHERE room_nr = nr AND field IN ('name', 'alias') AND value <> '') AS named
    FROM rooms WHERE room_id = ? AND load = 'loaded' AND own_membership = 'join'`);
  /** How many joined members are hidden, how many of the tenant's users are in, and how many others are invited. */
  readonly #counts = this.sql<[Named], { hidden: number; personas: number; invited: number }>(`
    SELECT (SELECT count(*) FROM members m WHERE m.room_nr = @nr AND m.membership = 'join' AND (m.user_id = @own
        OR m.user_id IN (SELECT user_id FROM persona_rooms WHERE tenant = @tenant AND room_nr = @nr))) AS hidden,
      (SELECT count(*) FROM persona_rooms WHERE tenant = @tenant AND room_nr = @nr) AS personas,
      (SELECT count(*) ${OTHERS} AND m.membership = 'invite') AS invited`);
  readonly #heroes = this.value<[Named], UserId>(`
    SELECT user_id FROM persona_rooms WHERE tenant = @tenant AND room_nr = @nr AND user_id <> @user
    UNION ALL SELECT * FROM (
      SELECT m.user_id ${OTHERS} AND m.user_id <> @user AND m.membership IN ('join', 'invite') LIMIT ${HEROES}
    ) LIMIT ${HEROES}`);
  readonly #left = this.value<[Named], UserId>(
    `SELECT m.user_id ${OTHERS} AND m.user_id <> @user AND m.membership NOT IN ('join', 'invite') LIMIT ${HEROES}`,
  );

  /** Returns open invites of this server's users, including the pseudouser; the newest rooms first. */
  async openInvites(own: UserId, limit: number): Promise<readonly OpenInvite[]> {
    return this.#invites.all(own, own.slice(own.indexOf(":")), limit);
  }

  /** Returns a room's members as the tenant sees them; null if they are not all known yet. */
  async headsIn(roomId: RoomId, viewed: HeadsViewer): Promise<Heads | null> {
    const room = this.#room.get(roomId);
    if (room === undefined) return null;
    const named = { ...viewed, nr: room.nr };
    const counts = this.#counts.get(named);
    if (counts === undefined) return null;
    const heroes = this.#heroes.all(named);
    return {
      joined: room.joined - counts.hidden + counts.personas,
      invited: counts.invited,
      isNamed: room.named === 1,
      heroes: heroes.length > 0 ? heroes : this.#left.all(named),
    };
  }
}
