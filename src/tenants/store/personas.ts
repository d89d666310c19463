import type { Database, Statement } from "better-sqlite3";
import type { PersonaStore } from "../act/contracts.ts";
import type { RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { PersonaInRoom, Profile } from "../../model/persona.ts";
import { LEASE_COLUMNS, type LeaseBook, type LeaseRow } from "../../attendance/store/lease-book.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

interface ProfileRow {
  displayname: string | null;
  avatar_url: string | null;
}

export class SqlitePersonaStore implements PersonaStore {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #book: LeaseBook;
  readonly #add: Statement<[string, string]>;
  readonly #profile: Statement<[string, string], ProfileRow>;
  readonly #setProfile: Statement<[string | null, string | null, string, string]>;
  readonly #enter: Statement<[string, number, string]>;
  readonly #exit: Statement<[string, number, string]>;
  readonly #isIn: Statement<[string, number, string], number>;
  readonly #count: Statement<[string, number], number>;
  readonly #inRoom: Statement<[string, number], ProfileRow & { user_id: string }>;
  readonly #roomsOf: Statement<[string, string], string>;
  readonly #lease: Statement<[number, string], LeaseRow>;

  constructor(db: Database, rooms: RoomNumbers, book: LeaseBook) {
    this.#db = db;
    this.#rooms = rooms;
    this.#book = book;
    this.#add = db.prepare("INSERT INTO personas (tenant, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING");
    this.#profile = db.prepare("SELECT displayname, avatar_url FROM personas WHERE tenant = ? AND user_id = ?");
    this.#setProfile = db.prepare(
      "UPDATE personas SET displayname = ?, avatar_url = ? WHERE tenant = ? AND user_id = ?",
    );
    this.#enter = db.prepare(
      "INSERT INTO persona_rooms (tenant, room_nr, user_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    );
    this.#exit = db.prepare("DELETE FROM persona_rooms WHERE tenant = ? AND room_nr = ? AND user_id = ?");
    this.#isIn = db
      .prepare<[string, number, string], number>(
        "SELECT 1 FROM persona_rooms WHERE tenant = ? AND room_nr = ? AND user_id = ?",
      )
      .pluck();
    this.#count = db
      .prepare<[string, number], number>("SELECT count(*) FROM persona_rooms WHERE tenant = ? AND room_nr = ?")
      .pluck();
    this.#inRoom = db.prepare(
      "SELECT user_id, displayname, avatar_url FROM persona_rooms JOIN personas USING (tenant, user_id) " +
        "WHERE tenant = ? AND room_nr = ? ORDER BY user_id",
    );
    this.#roomsOf = db
      .prepare<[string, string], string>(
        "SELECT r.room_id FROM persona_rooms p JOIN rooms r ON r.nr = p.room_nr " +
          "WHERE p.tenant = ? AND p.user_id = ? AND r.own_membership = 'join' ORDER BY r.room_id",
      )
      .pluck();
    this.#lease = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND kind = 'tenant' AND holder = ? AND ended_at IS NULL`,
    );
  }

  async register(tenant: TenantId, userId: UserId): Promise<boolean> {
    return this.#add.run(tenant, userId).changes > 0;
  }

  async isKnown(tenant: TenantId, userId: UserId): Promise<boolean> {
    return this.#profile.get(tenant, userId) !== undefined;
  }

  async profile(tenant: TenantId, userId: UserId): Promise<Profile> {
    return profileOf(this.#profile.get(tenant, userId));
  }

  async setProfile(tenant: TenantId, userId: UserId, part: Partial<Profile>): Promise<void> {
    this.#db
      .transaction(() => {
        this.#add.run(tenant, userId);
        const { displayname, avatarUrl } = { ...profileOf(this.#profile.get(tenant, userId)), ...part };
        this.#setProfile.run(displayname, avatarUrl, tenant, userId);
      })
      .immediate();
  }

  async enter(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.find(roomId);
        if (nr === null || this.#lease.get(nr, tenant) === undefined) return false;
        this.#add.run(tenant, userId);
        this.#enter.run(tenant, nr, userId);
        return true;
      })
      .immediate();
  }

  async exit(tenant: TenantId, roomId: RoomId, userId: UserId, now: number): Promise<number> {
    return this.#db
      .transaction(() => {
        const nr = this.#rooms.find(roomId);
        if (nr === null) return 0;
        this.#exit.run(tenant, nr, userId);
        const left = this.#count.get(tenant, nr) ?? 0;
        const lease = left === 0 ? this.#lease.get(nr, tenant) : undefined;
        if (lease !== undefined) {
          this.#book.endOne(lease, "released", now);
          this.#book.wake(nr, now);
        }
        return left;
      })
      .immediate();
  }

  async isIn(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean> {
    const nr = this.#rooms.find(roomId);
    return nr !== null && this.#isIn.get(tenant, nr, userId) !== undefined;
  }

  async inRoom(tenant: TenantId, roomId: RoomId): Promise<readonly PersonaInRoom[]> {
    const nr = this.#rooms.find(roomId);
    if (nr === null) return [];
    return this.#inRoom.all(tenant, nr).map((row) => ({ userId: row.user_id as UserId, ...profileOf(row) }));
  }

  async roomsOf(tenant: TenantId, userId: UserId): Promise<readonly RoomId[]> {
    return this.#roomsOf.all(tenant, userId) as RoomId[];
  }
}

function profileOf(row: ProfileRow | undefined): Profile {
  return { displayname: row?.displayname ?? null, avatarUrl: row?.avatar_url ?? null };
}
