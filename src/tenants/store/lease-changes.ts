import type { Database, Statement } from "better-sqlite3";
import type { LeaseChange, LeaseChanges } from "../sync/contracts.ts";
import type { RoomId, TenantId } from "../../model/ids.ts";
import type { LeaseEnd } from "../../model/lease.ts";

interface Row {
  change: number;
  room_id: string;
  at: number;
  end_reason: string | null;
}

const COLUMNS =
  "l.change, r.room_id, coalesce(l.ended_at, l.taken_at) AS at, l.end_reason FROM leases l JOIN rooms r ON r.nr = l.room_nr " +
  "WHERE l.kind = 'tenant' AND l.holder = ?";

/** Changes of tenants' leases, for polling. */
export class LeaseChangesStore implements LeaseChanges {
  readonly #present: Statement<[string], Row>;
  readonly #since: Statement<[string, number], Row>;
  readonly #newest: Statement<[], number>;

  constructor(db: Database) {
    this.#present = db.prepare(
      `SELECT ${COLUMNS} AND l.ended_at IS NULL AND r.own_membership = 'join' ORDER BY l.change`,
    );
    this.#since = db.prepare(
      `SELECT ${COLUMNS} AND l.change > ? AND (l.ended_at IS NOT NULL OR r.own_membership = 'join') ORDER BY l.change`,
    );
    this.#newest = db.prepare<[], number>("SELECT coalesce(max(change), 0) FROM leases").pluck();
  }

  async since(tenant: TenantId, after: number | null): Promise<readonly LeaseChange[]> {
    const rows = after === null ? this.#present.all(tenant) : this.#since.all(tenant, after);
    const newest = new Map<string, LeaseChange>();
    for (const row of rows) {
      newest.set(row.room_id, {
        change: row.change,
        roomId: row.room_id as RoomId,
        at: row.at,
        ended: row.end_reason as LeaseEnd | null,
      });
    }
    return [...newest.values()];
  }

  async newest(): Promise<number> {
    return this.#newest.get() ?? 0;
  }
}
