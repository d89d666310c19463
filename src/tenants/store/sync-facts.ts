import type { Database, Statement } from "better-sqlite3";
import type { HeadsViewer, OpenInvite, SyncFacts } from "../sync/contracts.ts";
import type { Heads } from "../sync/summary.ts";
import type { EventId, RoomId, UserId } from "../../model/ids.ts";

interface InviteRow {
  room_id: string;
  user_id: string;
  sender: string;
  event_id: string;
  reason: string | null;
}

type Named = HeadsViewer & { readonly nr: number };

/** As in a room's summary (spec, "m.heroes"). */
const HEROES = 5;

/** Members other than the pseudouser and the tenant's users. */
const OTHERS =
  "FROM members m WHERE m.room_nr = @nr AND m.user_id <> @own AND NOT EXISTS " +
  "(SELECT 1 FROM persona_rooms p WHERE p.tenant = @tenant AND p.room_nr = @nr AND p.user_id = m.user_id)";

/** What `/sync` tells about rooms, from the ledger. */
export class SyncFactsStore implements SyncFacts {
  readonly #invites: Statement<[string, string, number], InviteRow>;
  readonly #room: Statement<[string], { nr: number; joined: number; named: number }>;
  /** How many joined members are hidden, and how many of the tenant's users are in. */
  readonly #hidden: Statement<[Named], number>;
  readonly #personas: Statement<[Named], number>;
  readonly #invited: Statement<[Named], number>;
  readonly #heroes: Statement<[Named], string>;
  readonly #left: Statement<[Named], string>;

  constructor(db: Database) {
    // The partial index leads to few rows. Rooms that we heard of later have higher numbers.
    this.#invites = db.prepare(
      "SELECT r.room_id, m.user_id, m.sender, m.event_id, CASE WHEN m.user_id = ? THEN r.own_reason END AS reason " +
        "FROM members m JOIN rooms r ON r.nr = m.room_nr WHERE m.membership = 'invite' " +
        "AND substr(m.user_id, instr(m.user_id, ':')) = ? ORDER BY m.room_nr DESC LIMIT ?",
    );
    this.#room = db.prepare(
      "SELECT nr, joined_members AS joined, EXISTS (SELECT 1 FROM room_state WHERE room_nr = nr AND field IN ('name', 'alias') " +
        "AND value <> '') AS named FROM rooms WHERE room_id = ? AND load = 'loaded' AND own_membership = 'join'",
    );
    this.#hidden = db
      .prepare<[Named], number>(
        "SELECT count(*) FROM members m WHERE m.room_nr = @nr AND m.membership = 'join' AND (m.user_id = @own OR m.user_id IN " +
          "(SELECT p.user_id FROM persona_rooms p WHERE p.tenant = @tenant AND p.room_nr = @nr))",
      )
      .pluck();
    this.#personas = db
      .prepare<[Named], number>("SELECT count(*) FROM persona_rooms WHERE tenant = @tenant AND room_nr = @nr")
      .pluck();
    this.#invited = db.prepare<[Named], number>(`SELECT count(*) ${OTHERS} AND m.membership = 'invite'`).pluck();
    this.#heroes = db
      .prepare<[Named], string>(
        "SELECT user_id FROM persona_rooms WHERE tenant = @tenant AND room_nr = @nr AND user_id <> @user UNION ALL " +
          `SELECT * FROM (SELECT m.user_id ${OTHERS} AND m.user_id <> @user AND m.membership IN ('join', 'invite') ` +
          `LIMIT ${HEROES}) LIMIT ${HEROES}`,
      )
      .pluck();
    this.#left = db
      .prepare<[Named], string>(
        `SELECT m.user_id ${OTHERS} AND m.user_id <> @user AND m.membership NOT IN ('join', 'invite') LIMIT ${HEROES}`,
      )
      .pluck();
  }

  async openInvites(own: UserId, limit: number): Promise<readonly OpenInvite[]> {
    const suffix = own.slice(own.indexOf(":"));
    return this.#invites.all(own, suffix, limit).map((row) => ({
      roomId: row.room_id as RoomId,
      user: row.user_id as UserId,
      sender: row.sender as UserId,
      eventId: row.event_id as EventId,
      reason: row.reason,
    }));
  }

  async headsIn(roomId: RoomId, viewed: HeadsViewer): Promise<Heads | null> {
    const room = this.#room.get(roomId);
    if (room === undefined) return null;
    const named = { ...viewed, nr: room.nr };
    const heroes = this.#heroes.all(named);
    return {
      joined: room.joined - (this.#hidden.get(named) ?? 0) + (this.#personas.get(named) ?? 0),
      invited: this.#invited.get(named) ?? 0,
      isNamed: room.named === 1,
      heroes: (heroes.length > 0 ? heroes : this.#left.all(named)) as UserId[],
    };
  }
}
