import type { Database } from "better-sqlite3";
import type { RoomId, TenantId, UserId } from "../../model/ids.ts";
import type { PersonaInRoom, Profile } from "../../model/persona.ts";
import { LEASE_COLUMNS, type LeaseBook, type LeaseRow } from "../../attendance/store/lease-book.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";
import { Store } from "../../storage/store.ts";

const NO_PROFILE: Profile = { displayname: null, avatarUrl: null };

/**
 * The users of tenants, their profiles, and the rooms they are in. All of it exists inside Emissary only. A user is
 * known once something about it is stored.
 */
export class SqlitePersonaStore extends Store {
  readonly #rooms: RoomNumbers;
  readonly #book: LeaseBook;
  readonly #add = this.sql<[string, string]>(
    "INSERT INTO personas (tenant, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
  );
  readonly #profile = this.sql<[string, string], Profile>(
    "SELECT displayname, avatar_url AS avatarUrl FROM personas WHERE tenant = ? AND user_id = ?",
  );
  readonly #setProfile = this.sql<[string | null, string | null, string, string]>(
    "UPDATE personas SET displayname = ?, avatar_url = ? WHERE tenant = ? AND user_id = ?",
  );
  readonly #enter = this.sql<[string, number, string]>(
    "INSERT INTO persona_rooms (tenant, room_nr, user_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  );
  readonly #exit = this.sql<[string, number, string]>(
    "DELETE FROM persona_rooms WHERE tenant = ? AND room_nr = ? AND user_id = ?",
  );
  readonly #isIn = this.value<[string, number, string], number>(
    "SELECT 1 FROM persona_rooms WHERE tenant = ? AND room_nr = ? AND user_id = ?",
  );
  readonly #count = this.value<[string, number], number>(
    "SELECT count(*) FROM persona_rooms WHERE tenant = ? AND room_nr = ?",
  );
  readonly #inRoom = this.sql<[string, number], PersonaInRoom>(`
    SELECT user_id AS userId, displayname, avatar_url AS avatarUrl
    FROM persona_rooms JOIN personas USING (tenant, user_id)
    WHERE tenant = ? AND room_nr = ? ORDER BY user_id`);
  readonly #roomsOf = this.value<[string, string], RoomId>(`
    SELECT r.room_id FROM persona_rooms p JOIN rooms r ON r.nr = p.room_nr
    WHERE p.tenant = ? AND p.user_id = ? AND r.own_membership = 'join' ORDER BY r.room_id`);
  readonly #lease = this.sql<[number, string], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND kind = 'tenant' AND holder = ? AND ended_at IS NULL`,
  );

  constructor(db: Database, rooms: RoomNumbers, book: LeaseBook) {
    super(db);
    this.#rooms = rooms;
    this.#book = book;
  }

  /** Returns false if the user was known before. */
  async register(tenant: TenantId, userId: UserId): Promise<boolean> {
    return this.#add.run(tenant, userId).changes > 0;
  }

  async isKnown(tenant: TenantId, userId: UserId): Promise<boolean> {
    return this.#profile.get(tenant, userId) !== undefined;
  }

  async profile(tenant: TenantId, userId: UserId): Promise<Profile> {
    return this.#profile.get(tenant, userId) ?? NO_PROFILE;
  }

  async setProfile(tenant: TenantId, userId: UserId, part: Partial<Profile>): Promise<void> {
    this.commit(() => {
      this.#add.run(tenant, userId);
      const { displayname, avatarUrl } = { ...(this.#profile.get(tenant, userId) ?? NO_PROFILE), ...part };
      this.#setProfile.run(displayname, avatarUrl, tenant, userId);
    });
  }

  /** Returns false and changes nothing if the tenant has no lease in the room. Idempotent. */
  async enter(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean> {
    return this.commit(() => {
      const nr = this.#rooms.find(roomId);
      if (nr === null || this.#lease.get(nr, tenant) === undefined) return false;
      this.#add.run(tenant, userId);
      this.#enter.run(tenant, nr, userId);
      return true;
    });
  }

  /** Returns how many users of the tenant remain in the room. If none does, also releases the tenant's lease. */
  async exit(tenant: TenantId, roomId: RoomId, userId: UserId, now: number): Promise<number> {
    return this.commit(() => {
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
    });
  }

  async isIn(tenant: TenantId, roomId: RoomId, userId: UserId): Promise<boolean> {
    const nr = this.#rooms.find(roomId);
    return nr !== null && this.#isIn.get(tenant, nr, userId) !== undefined;
  }

  async inRoom(tenant: TenantId, roomId: RoomId): Promise<readonly PersonaInRoom[]> {
    const nr = this.#rooms.find(roomId);
    return nr === null ? [] : this.#inRoom.all(tenant, nr);
  }

  /** Returns the rooms that both the user and the pseudouser are in. */
  async roomsOf(tenant: TenantId, userId: UserId): Promise<readonly RoomId[]> {
    return this.#roomsOf.all(tenant, userId);
  }
}
