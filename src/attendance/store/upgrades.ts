import type { Database, Statement } from "better-sqlite3";
import type { FollowStore } from "../upgrades/followers.ts";
import type { UpgradeStore, UpgradeTicket } from "../upgrades/upgrades.ts";
import type { RoomId } from "../../model/ids.ts";
import { holderText, type Lease } from "../../model/lease.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { FOLLOWS, INSERT_LEASE, LEASE_COLUMNS, UPGRADE_GAP_MS, type LeaseBook, type LeaseRow } from "./lease-book.ts";
import { leaseOf } from "./leases.ts";
import type { RoomNumbers } from "../../ledger/store/room-numbers.ts";

interface TicketRow {
  room_id: string;
  asks: number;
  tries: number;
  since: number | null;
}

interface GrantRow {
  actions: string;
  types: string | null;
}

/** A look is postponed by hours at most. A time days ahead is from before the clock was set back. */
const FARTHEST_MS = 24 * 60 * 60_000;
const OVERDUE = `(upgrade_at <= @now OR upgrade_at > @now + ${FARTHEST_MS})`;
const NOT_THESE = "room_id NOT IN (SELECT value FROM json_each(@except))";

/** Stores which rooms' upgrades to look into, and moves leases to the room that replaces theirs. */
export class SqliteUpgradeStore implements UpgradeStore, FollowStore {
  readonly #db: Database;
  readonly #rooms: RoomNumbers;
  readonly #book: LeaseBook;
  readonly #audit: AuditStore;
  readonly #due: Statement<{ now: number; limit: number; except: string }, TicketRow>;
  readonly #nextDue: Statement<{ except: string }, number | null>;
  readonly #followers: Statement<[number], LeaseRow>;
  readonly #probations: Statement<[string], string>;
  readonly #settle: Statement<{ asks: number; tries: number; at: number | null; now: number; roomId: string }>;
  readonly #isGenuine: Statement<[string, string, number, number], number>;
  readonly #ofClass: Statement<[number, string, string | null, string | null, number, number], LeaseRow>;
  readonly #put: Statement<[number, string, string, string | null, number, number, null, number | null]>;
  readonly #takeAlong: Statement<[number, string, number]>;
  readonly #naming: Statement<{ tenant: string; from: string; to: string }, GrantRow>;
  readonly #grant: Statement<[string, string, string, string | null, number]>;

  constructor(db: Database, rooms: RoomNumbers, book: LeaseBook, audit: AuditStore) {
    this.#db = db;
    this.#rooms = rooms;
    this.#book = book;
    this.#audit = audit;
    this.#due = db.prepare(
      "SELECT room_id, upgrade_asks AS asks, upgrade_tries AS tries, upgrade_since AS since FROM rooms " +
        `WHERE ${OVERDUE} AND ${NOT_THESE} ORDER BY upgrade_at LIMIT @limit`,
    );
    this.#nextDue = db
      .prepare<{ except: string }, number | null>(
        `SELECT min(upgrade_at) FROM rooms WHERE upgrade_at IS NOT NULL AND ${NOT_THESE}`,
      )
      .pluck();
    // The first lease of each class (SQLite takes the row of the minimum).
    this.#followers = db.prepare(
      `SELECT min(id), ${LEASE_COLUMNS} FROM leases l WHERE room_nr = ? AND ${FOLLOWS} ` +
        "GROUP BY kind, CASE kind WHEN 'tenant' THEN holder END, alias, upgrades ORDER BY id",
    );
    this.#probations = db
      .prepare<[string], string>(
        "SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
          "WHERE l.kind = 'upgrade' AND l.holder = ? AND l.ended_at IS NULL",
      )
      .pluck();
    this.#settle = db.prepare(
      `UPDATE rooms SET upgrade_at = CASE WHEN upgrade_asks = @asks THEN @at ELSE @now + ${UPGRADE_GAP_MS} END, ` +
        "upgrade_since = CASE WHEN upgrade_asks = @asks AND @at IS NULL THEN NULL ELSE upgrade_since END, " +
        "upgrade_tries = CASE WHEN upgrade_asks = @asks AND @at IS NULL THEN 0 ELSE @tries END, upgraded_at = @now " +
        "WHERE room_id = @roomId",
    );
    this.#isGenuine = db
      .prepare<[string, string, number, number], number>(
        "SELECT 1 FROM room_state o, room_state n, rooms r WHERE o.field = 'replacement' AND o.value = ? " +
          "AND n.field = 'predecessor' AND n.value = ? AND o.room_nr = ? AND n.room_nr = ? AND r.nr = n.room_nr " +
          "AND r.own_membership = 'join' AND r.load = 'loaded'",
      )
      .pluck();
    this.#ofClass = db.prepare(
      `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL AND kind = ? ` +
        "AND holder = coalesce(?, holder) AND alias IS ? AND upgrades = ? ORDER BY id LIMIT ?",
    );
    this.#put = db.prepare(`${INSERT_LEASE} ON CONFLICT DO NOTHING`);
    this.#takeAlong = db.prepare(
      "INSERT OR IGNORE INTO persona_rooms (tenant, room_nr, user_id) " +
        "SELECT tenant, ?, user_id FROM persona_rooms WHERE tenant = ? AND room_nr = ?",
    );
    // Leaves out grants that the new room already has: from an operator, or from an earlier move.
    this.#naming = db.prepare(
      "SELECT DISTINCT actions, types FROM tenant_grants g WHERE tenant = @tenant " +
        "AND (EXISTS (SELECT 1 FROM json_each(g.rooms) WHERE value = @from) " +
        "OR EXISTS (SELECT 1 FROM grant_pins n WHERE n.grant_id = g.id AND n.room_id = @from)) " +
        "AND NOT EXISTS (SELECT 1 FROM tenant_grants h, json_each(h.rooms) p WHERE h.tenant = @tenant AND p.value = @to " +
        "AND h.actions = g.actions AND h.types IS g.types)",
    );
    this.#grant = db.prepare(
      "INSERT INTO tenant_grants (tenant, rooms, actions, types, source, created_at) VALUES (?, ?, ?, ?, 'upgrade', ?)",
    );
  }

  async due(now: number, limit: number, except: ReadonlySet<RoomId>): Promise<readonly UpgradeTicket[]> {
    return this.#due.all({ now, limit, except: JSON.stringify([...except]) }).map(({ room_id, since, ...row }) => ({
      from: room_id as RoomId,
      since: since ?? now,
      ...row,
    }));
  }

  async nextDue(except: ReadonlySet<RoomId>): Promise<number | null> {
    return this.#nextDue.get({ except: JSON.stringify([...except]) }) ?? null;
  }

  async followers(from: RoomId): Promise<readonly Lease[]> {
    const nr = this.#rooms.find(from);
    return nr === null ? [] : this.#followers.all(nr).map((row) => leaseOf(from, row));
  }

  async probations(from: RoomId): Promise<readonly RoomId[]> {
    return this.#probations.all(from) as RoomId[];
  }

  async settle({ from, asks, tries }: UpgradeTicket, at: number | null, now: number): Promise<void> {
    this.#settle.run({ asks, tries: tries + 1, at, now, roomId: from });
  }

  async giveUp(ticket: UpgradeTicket, to: RoomId | null, now: number): Promise<void> {
    this.#db
      .transaction(() => {
        const { from, asks, tries, since } = ticket;
        this.#settle.run({ asks, tries, at: null, now, roomId: from });
        const actor = holderText({ kind: "upgrade", name: from });
        this.#audit.write({ actor, action: "lease.follow", outcome: "given-up", roomId: to, detail: { since } }, now);
      })
      .immediate();
  }

  async move(to: RoomId, whose: Lease, now: number, limit: number): Promise<number | null> {
    return this.#db
      .transaction(() => {
        const from = whose.roomId;
        const [nr, target] = [this.#rooms.find(from), this.#rooms.find(to)];
        if (nr === null || target === null || this.#isGenuine.get(to, from, nr, target) === undefined) return null;
        const { kind, name } = whose.holder;
        const tenant = kind === "tenant" ? name : null;
        const leases = this.#ofClass.all(nr, kind, tenant, whose.alias, whose.upgrades, limit);
        for (const lease of leases) {
          if (tenant !== null) this.#takeAlong.run(target, tenant, nr);
          this.#book.endOne(lease, "upgraded", now, { replacement: to });
          this.#put.run(target, kind, lease.holder, lease.alias, now, lease.upgrades + 1, null, lease.expires_at);
        }
        if (leases.length === 0) return 0;
        if (tenant !== null) this.#extendGrants(tenant, from, to, now);
        this.#book.wake(nr, now);
        this.#book.wake(target, now);
        // The facts behind the verdict may have changed meanwhile.
        this.#book.review(target, now);
        // It may have been replaced itself while it had no lease that could follow.
        this.#book.replaced(target, now);
        return leases.length;
      })
      .immediate();
  }

  /** Copies grants that name the old room to the new one. The operator sees them and their source. */
  #extendGrants(tenant: string, from: RoomId, to: RoomId, now: number): void {
    for (const { actions, types } of this.#naming.all({ tenant, from, to })) {
      this.#grant.run(tenant, JSON.stringify([to]), actions, types, now);
      const detail = {
        tenant,
        rooms: [to],
        actions: JSON.parse(actions) as string[],
        types: types === null ? null : (JSON.parse(types) as string[]),
        source: "upgrade",
        replaces: from,
      };
      this.#audit.write({ actor: "emissary", action: "tenant.allow", outcome: "done", roomId: to, detail }, now);
    }
  }
}
