import type { Database, Statement } from "better-sqlite3";
import type { LedgerChange, RoomField } from "../../ledger/fold.ts";
import type { RoomId } from "../../model/ids.ts";
import type { Membership } from "../../model/membership.ts";
import type { SqliteCoolDownStore } from "./cool-down-store.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { RoomNumbers } from "./rooms.ts";

type MemberChange = Extract<LedgerChange, { kind: "member" }>;
type UpgradeChange = Extract<LedgerChange, { kind: "upgrade" }>;
type StateChange = Extract<LedgerChange, { kind: "state" }>;

interface RoomRow {
  nr: number;
  load: string;
  load_generation: number;
  own_membership: Membership | null;
}

/** A load that just ended is not begun again at once for an event that does not follow on: several such come together. */
const DOUBT_DELAY_MS = 2_000;

/** What policy weighs of a room's state. */
export const WEIGHED: ReadonlySet<RoomField> = new Set([
  "join_rule",
  "history_visibility",
  "server_acl",
  "alias",
  "creator",
  "version",
]);

/** Writes ledger changes that an event brought. Every call is made inside a transaction of the caller. */
export class ChangeWriter {
  readonly #rooms: RoomNumbers;
  readonly #leases: LeaseBook;
  readonly #coolDowns: SqliteCoolDownStore;
  readonly #room: Statement<[string], RoomRow>;
  readonly #member: Statement<[number, string], { membership: string; event_id: string }>;
  readonly #addMember: Statement;
  readonly #setMember: Statement;
  readonly #state: Statement<[number, string], { event_id: string; value: string | null }>;
  readonly #putState: Statement;
  readonly #count: Statement<[number, number]>;
  readonly #own: Statement<[string, string, string | null, number, string, number, string | null, number]>;
  readonly #stale: Statement<[number, number]>;
  readonly #ask: Statement<[number, number]>;
  /** Rooms as they are in the transaction under way: a batch often has many events of one. Nothing outlives its `apply`. */
  readonly #seen = new Map<RoomId, RoomRow>();

  constructor(db: Database, rooms: RoomNumbers, leases: LeaseBook, coolDowns: SqliteCoolDownStore) {
    this.#rooms = rooms;
    this.#leases = leases;
    this.#coolDowns = coolDowns;
    this.#room = db.prepare("SELECT nr, load, load_generation, own_membership FROM rooms WHERE room_id = ?");
    this.#member = db.prepare("SELECT membership, event_id FROM members WHERE room_nr = ? AND user_id = ?");
    // Two statements and not one upsert: an update does not look again whether the room exists, and most are updates.
    this.#addMember = db.prepare(
      "INSERT INTO members (membership, event_id, sender, displayname, avatar_url, seq, generation, room_nr, user_id) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#setMember = db.prepare(
      "UPDATE members SET membership = ?, event_id = ?, sender = ?, displayname = ?, avatar_url = ?, seq = ?, generation = ? " +
        "WHERE room_nr = ? AND user_id = ?",
    );
    this.#state = db.prepare("SELECT event_id, value FROM room_state WHERE room_nr = ? AND field = ?");
    this.#putState = db.prepare(
      "INSERT OR REPLACE INTO room_state (room_nr, field, value, event_id, seq, generation) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#count = db.prepare("UPDATE rooms SET joined_members = joined_members + ? WHERE nr = ?");
    this.#own = db.prepare(
      "UPDATE rooms SET own_membership = ?, own_event = ?, own_reason = ?, changed_at = ?, " +
        "invite_at = CASE WHEN ? = 'invite' THEN ? END, claims = ? WHERE nr = ?",
    );
    this.#stale = db.prepare("UPDATE rooms SET load = 'stale', load_at = ? WHERE nr = ?");
    this.#ask = db.prepare("UPDATE rooms SET load = 'wanted', load_at = ?, load_asks = load_asks + 1 WHERE nr = ?");
  }

  /** @returns the rooms whose events did not follow on what we hold; they are marked to be loaded anew. */
  apply(changes: readonly LedgerChange[], seq: number, now: number): readonly RoomId[] {
    this.#seen.clear();
    const doubted = new Set<RoomId>();
    for (const change of changes) {
      switch (change.kind) {
        case "member":
          if (this.#applyMember(change, seq, now)) doubted.add(change.member.roomId);
          break;
        case "state":
          if (this.#applyState(change, seq, now)) doubted.add(change.roomId);
          break;
        case "upgrade":
          this.#replaced(change, now);
          break;
      }
    }
    return [...doubted];
  }

  /** The upgrader's server is a route to the new room. */
  #replaced({ roomId, replacement, via }: UpgradeChange, now: number): void {
    const nr = this.#rooms.find(roomId);
    if (nr === null || !this.#leases.replaced(nr, now)) return;
    this.#rooms.learnVia(this.#rooms.take(replacement), [...via, ...this.#rooms.via(nr)]);
  }

  #applyMember({ member, replaces, own, ends, reason, claims }: MemberChange, seq: number, now: number): boolean {
    const room = this.#roomOf(member.roomId);
    const { nr } = room;
    const before = this.#member.get(nr, member.userId);
    if (before?.event_id === member.eventId) return false;
    this.#rooms.hear(nr, now);
    (before === undefined ? this.#addMember : this.#setMember).run(
      member.membership,
      member.eventId,
      member.sender,
      member.displayname,
      member.avatarUrl,
      seq,
      room.load_generation,
      nr,
      member.userId,
    );
    const delta = Number(member.membership === "join") - Number(before?.membership === "join");
    if (delta !== 0) this.#count.run(delta, nr);
    if (own) {
      this.#seen.delete(member.roomId);
      this.#own.run(member.membership, member.eventId, reason, now, member.membership, now, claims, nr);
      if (member.membership === "join" && room.own_membership !== "join") {
        this.#ask.run(now, nr);
        this.#leases.entered(nr);
      }
      if (member.membership !== "join" && room.own_membership === "join") this.#stale.run(now, nr);
      // A leave that was no end of a stay (an unban, an invite taken back) puts nobody out.
      const putOut = ends === "banned" || (ends === "kicked" && room.own_membership === "join") ? ends : null;
      if (putOut !== null) {
        const why = `${putOut} by ${member.sender}`;
        this.#leases.endAll(nr, putOut, { code: putOut, reason: why }, now);
        this.#coolDowns.strikeNow(nr, member.roomId, "put-out", `the pseudouser was ${why}`, now);
      }
      // Whoever may invite us wants us back.
      if (member.membership === "invite") this.#coolDowns.endNow(nr, "put-out", now);
      if (member.membership === "invite") this.#leases.wakeKnown(nr, now);
      else this.#leases.wake(nr, now);
      this.#leases.mayReplace(member.roomId, now);
      if (member.membership !== "join") return false;
    } else if (isThere(member.membership) !== isThere(before?.membership)) {
      this.#leases.reviewVouchers(nr, now);
    }
    return this.#doubt(member.roomId, room, before?.event_id, replaces, now);
  }

  #applyState({ roomId, field, value, eventId, replaces }: StateChange, seq: number, now: number): boolean {
    const room = this.#roomOf(roomId);
    const { nr } = room;
    const before = this.#state.get(nr, field);
    if (before?.event_id === eventId) return false;
    this.#rooms.hear(nr, now);
    this.#putState.run(nr, field, value, eventId, seq, room.load_generation);
    if (WEIGHED.has(field) && before?.value !== value) this.#leases.review(nr, now);
    return this.#doubt(roomId, room, before?.event_id, replaces, now);
  }

  /**
   * An event names the one that it replaced where it was made (unsigned.replaces_state). If we hold another, then one is
   * missing here, or the room had forked and its state resolution may have chosen otherwise: the homeserver is asked again.
   * While a load runs, what we do not hold may still be on its way, so only what differs counts; the load is then made again.
   */
  #doubt(roomId: RoomId, room: RoomRow, held: string | undefined, replaces: string | null, now: number): boolean {
    if (replaces === null || replaces === held) return false;
    const loading = room.load === "wanted" && held !== undefined;
    if (room.load !== "loaded" && !loading) return false;
    this.#seen.delete(roomId);
    this.#ask.run(now + DOUBT_DELAY_MS, room.nr);
    return true;
  }

  /** The room's row, made where there is none. Whoever changes one of these columns takes it out of `#seen`. */
  #roomOf(roomId: RoomId): RoomRow {
    let row = this.#seen.get(roomId) ?? this.#room.get(roomId);
    if (row === undefined) {
      this.#rooms.take(roomId);
      row = this.#room.get(roomId);
    }
    if (row === undefined) throw new Error(`the room ${roomId} was given a number and has no row`);
    this.#seen.set(roomId, row);
    return row;
  }
}

function isThere(membership: string | undefined): boolean {
  return membership === "join" || membership === "invite";
}
