import type { Database } from "better-sqlite3";
import type { RoomId } from "../../model/ids.ts";
import { holderText, type Lease } from "../../model/lease.ts";
import { Store } from "../../storage/store.ts";
import {
  FOLLOWS,
  INSERT_LEASE,
  LEASE_COLUMNS,
  leaseOf,
  UPGRADE_GAP_MS,
  type LeaseBook,
  type LeaseRow,
} from "./lease-book.ts";

/** A room that names another that replaces it, with leases that may follow. */
export interface UpgradeTicket {
  readonly from: RoomId;
  /** How often a look had been requested. A higher number at the end means that something changed meanwhile. */
  readonly asks: number;
  /** Number of unsuccessful looks, and when the first was requested. */
  readonly tries: number;
  readonly since: number;
}

/** A look is postponed by hours at most. A time days ahead is from before the clock was set back. */
const FARTHEST_MS = 24 * 60 * 60_000;
const OVERDUE = `(upgrade_at <= @now OR upgrade_at > @now + ${FARTHEST_MS})`;
const NOT_THESE = "room_id NOT IN (SELECT value FROM json_each(@except))";

/** The upgrades to look into, requested in the commit of their cause, and moves of leases. Each call is one commit. */
export class UpgradeStore extends Store {
  readonly #book: LeaseBook;
  readonly #due = this.sql<[{ now: number; limit: number; except: string }], UpgradeTicket>(`
    SELECT room_id AS "from", upgrade_asks AS asks, upgrade_tries AS tries, coalesce(upgrade_since, @now) AS since
    FROM rooms WHERE ${OVERDUE} AND ${NOT_THESE} ORDER BY upgrade_at LIMIT @limit`);
  readonly #nextDue = this.value<[{ except: string }], number | null>(
    `SELECT min(upgrade_at) FROM rooms WHERE upgrade_at IS NOT NULL AND ${NOT_THESE}`,
  );
  // The first lease of each class (SQLite takes the row of the minimum).
  readonly #followers = this.sql<[number], LeaseRow>(
    `SELECT min(id), ${LEASE_COLUMNS} FROM leases l WHERE room_nr = ? AND ${FOLLOWS} ` +
      "GROUP BY kind, CASE kind WHEN 'tenant' THEN holder END, alias, upgrades ORDER BY id",
  );
  readonly #probations = this.value<[string], RoomId>(
    "SELECT r.room_id FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
      "WHERE l.kind = 'upgrade' AND l.holder = ? AND l.ended_at IS NULL",
  );
  readonly #settle = this.sql<[{ asks: number; tries: number; at: number | null; now: number; from: string }]>(`
    UPDATE rooms SET upgrade_at = CASE WHEN upgrade_asks = @asks THEN @at ELSE @now + ${UPGRADE_GAP_MS} END,
      upgrade_since = CASE WHEN upgrade_asks = @asks AND @at IS NULL THEN NULL ELSE upgrade_since END,
      upgrade_tries = CASE WHEN upgrade_asks = @asks AND @at IS NULL THEN 0 ELSE @tries END, upgraded_at = @now
    WHERE room_id = @from`);
  readonly #isGenuine = this.value<[string, string, number, number], number>(
    "SELECT 1 FROM room_state o, room_state n, rooms r WHERE o.field = 'replacement' AND o.value = ? " +
      "AND n.field = 'predecessor' AND n.value = ? AND o.room_nr = ? AND n.room_nr = ? AND r.nr = n.room_nr " +
      "AND r.own_membership = 'join' AND r.load = 'loaded'",
  );
  readonly #ofClass = this.sql<[number, string, string | null, string | null, number, number], LeaseRow>(
    `SELECT ${LEASE_COLUMNS} FROM leases WHERE room_nr = ? AND ended_at IS NULL AND kind = ? ` +
      "AND holder = coalesce(?, holder) AND alias IS ? AND upgrades = ? ORDER BY id LIMIT ?",
  );
  readonly #put = this.sql<[number, string, string, string | null, number, number, null, number | null]>(
    `${INSERT_LEASE} ON CONFLICT DO NOTHING`,
  );
  readonly #takeAlong = this.sql<[number, string, number]>(
    "INSERT OR IGNORE INTO persona_rooms (tenant, room_nr, user_id) " +
      "SELECT tenant, ?, user_id FROM persona_rooms WHERE tenant = ? AND room_nr = ?",
  );
  // Leaves out grants that the new room already has: from an operator, or from an earlier move.
  readonly #naming = this.sql<
    [{ tenant: string; from: string; to: string }],
    { actions: string; types: string | null }
  >(`
    SELECT DISTINCT actions, types FROM tenant_grants g WHERE tenant = @tenant
      AND (EXISTS (SELECT 1 FROM json_each(g.rooms) WHERE value = @from)
        OR EXISTS (SELECT 1 FROM grant_pins n WHERE n.grant_id = g.id AND n.room_id = @from))
      AND NOT EXISTS (SELECT 1 FROM tenant_grants h, json_each(h.rooms) p WHERE h.tenant = @tenant
        AND p.value = @to AND h.actions = g.actions AND h.types IS g.types)`);
  readonly #grant = this.sql<[string, string, string, string | null, number]>(
    "INSERT INTO tenant_grants (tenant, rooms, actions, types, source, created_at) VALUES (?, ?, ?, ?, 'upgrade', ?)",
  );

  constructor(db: Database, book: LeaseBook) {
    super(db);
    this.#book = book;
  }

  async due(now: number, limit: number, except: ReadonlySet<RoomId>): Promise<readonly UpgradeTicket[]> {
    return this.#due.all({ now, limit, except: JSON.stringify([...except]) });
  }

  /** Returns when the next look outside `except` is due; null if there is none. */
  async nextDue(except: ReadonlySet<RoomId>): Promise<number | null> {
    return this.#nextDue.get({ except: JSON.stringify([...except]) }) ?? null;
  }

  /** Returns one live lease of each class that may follow. */
  async followers(from: RoomId): Promise<readonly Lease[]> {
    const nr = this.#book.rooms.find(from);
    return nr === null ? [] : this.#followers.all(nr).map((row) => leaseOf(from, row));
  }

  /** Returns the rooms that we are in, or joining, to find out whether they replace this one. */
  async probations(from: RoomId): Promise<readonly RoomId[]> {
    return this.#probations.all(from);
  }

  /** Ends the look; `at` is the time of the next, null for none. If something changed, the next is due soon. */
  async settle({ from, asks, tries }: UpgradeTicket, at: number | null, now: number): Promise<void> {
    this.#settle.run({ from, asks, tries: tries + 1, at, now });
  }

  /** Does the same after too long without a result, with an audit row. */
  async giveUp({ from, asks, tries, since }: UpgradeTicket, to: RoomId | null, now: number): Promise<void> {
    this.commit(() => {
      this.#settle.run({ from, asks, tries, at: null, now });
      const actor = holderText({ kind: "upgrade", name: from });
      const what = { action: "lease.follow", outcome: "given-up", roomId: to, detail: { since } };
      this.#book.audit.write({ actor, ...what }, now);
    });
  }

  /**
   * Moves at most `limit` leases of the class of `whose` to the room that replaces theirs: the old leases end, new
   * ones begin, tenants' users move along, and grants for the old room get the new one too. Returns the number moved;
   * null if the two rooms no longer name each other, or we are not in the new one.
   */
  async move(to: RoomId, whose: Lease, now: number, limit: number): Promise<number | null> {
    return this.commit(() => {
      const { roomId: from, holder, alias, upgrades } = whose;
      const { kind, name } = holder;
      const [nr, target] = [from, to].map((roomId) => this.#book.rooms.find(roomId));
      if (nr == null || target == null || this.#isGenuine.get(to, from, nr, target) === undefined) return null;
      const tenant = kind === "tenant" ? name : null;
      const leases = this.#ofClass.all(nr, kind, tenant, alias, upgrades, limit);
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
    });
  }

  /** Copies grants that name the old room to the new one. The operator sees them and their source. */
  #extendGrants(tenant: string, from: RoomId, to: RoomId, now: number): void {
    for (const { actions, types } of this.#naming.all({ tenant, from, to })) {
      this.#grant.run(tenant, JSON.stringify([to]), actions, types, now);
      const granted = {
        actions: JSON.parse(actions) as string[],
        types: JSON.parse(types ?? "null") as string[] | null,
      };
      const detail = { tenant, rooms: [to], ...granted, source: "upgrade", replaces: from };
      const what = { action: "tenant.allow", outcome: "done", roomId: to, detail };
      this.#book.audit.write({ actor: "emissary", ...what }, now);
    }
  }
}
