import type { Database, Statement } from "better-sqlite3";
import type { Coverage, Span } from "../../feed/contracts.ts";
import type { RoomId, TenantId } from "../../model/ids.ts";

interface Row {
  room_id: string;
  from_seq: number;
  to_seq: number | null;
}

/** Which parts of the journal tenants' leases cover. */
export class CoverageStore implements Coverage {
  readonly #spans: Statement<[string, string, number], Row>;

  constructor(db: Database) {
    // CROSS JOIN keeps the order: from the rooms asked for to their leases, never through all leases of a tenant.
    this.#spans = db.prepare(
      "SELECT r.room_id, l.from_seq, l.to_seq FROM json_each(?) AS asked CROSS JOIN rooms r ON r.room_id = asked.value " +
        "CROSS JOIN leases l ON l.room_nr = r.nr AND l.kind = 'tenant' AND l.holder = ? " +
        "WHERE l.to_seq IS NULL OR l.to_seq > ? ORDER BY l.id",
    );
  }

  async spansOf(
    tenant: TenantId,
    rooms: readonly RoomId[],
    after: number,
  ): Promise<ReadonlyMap<RoomId, readonly Span[]>> {
    const spans = new Map<RoomId, Span[]>();
    for (const row of this.#spans.all(JSON.stringify(rooms), tenant, after)) {
      const roomId = row.room_id as RoomId;
      const span = { after: row.from_seq, upTo: row.to_seq };
      const known = spans.get(roomId);
      if (known === undefined) spans.set(roomId, [span]);
      else known.push(span);
    }
    return spans;
  }
}
