import type { Database, Statement } from "better-sqlite3";
import type { Coverage, Span } from "../feed/contracts.ts";
import type { RoomId, TenantId } from "../../model/ids.ts";
import type { Memo } from "../../storage/memo.ts";

interface Row {
  room_id: string;
  from_seq: number;
  to_seq: number | null;
}

/** All tenants read new events of a room or two at once. A tenant far behind asks for many rooms alone. */
const FEW_ROOMS = 4;

type SpansByTenant = ReadonlyMap<string, readonly Span[]>;

/** The parts of the journal that tenants' leases cover. */
export class CoverageStore implements Coverage {
  readonly #spans: Statement<[string, string, number], Row>;
  readonly #inRoom: Statement<[string, number], Omit<Row, "room_id"> & { holder: string }>;
  readonly #known: Memo<SpansByTenant>;

  constructor(db: Database, known: Memo<SpansByTenant>) {
    this.#known = known;
    // CROSS JOIN keeps the order: from the rooms asked for to their leases, never through all leases of a tenant.
    this.#spans = db.prepare(
      "SELECT r.room_id, l.from_seq, l.to_seq FROM json_each(?) AS asked CROSS JOIN rooms r ON r.room_id = asked.value " +
        "CROSS JOIN leases l ON l.room_nr = r.nr AND l.kind = 'tenant' AND l.holder = ? " +
        "WHERE l.to_seq IS NULL OR l.to_seq > ? ORDER BY l.id",
    );
    this.#inRoom = db.prepare(
      "SELECT holder, from_seq, to_seq FROM leases WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = ?) AND kind = 'tenant' " +
        "AND (to_seq IS NULL OR to_seq > ?) ORDER BY id",
    );
  }

  async spansOf(
    tenant: TenantId,
    rooms: readonly RoomId[],
    after: number,
  ): Promise<ReadonlyMap<RoomId, readonly Span[]>> {
    if (rooms.length <= FEW_ROOMS) {
      const few = rooms.map((room) => [room, this.#ofAll(room, after).get(tenant)] as const);
      return new Map(few.filter((one): one is [RoomId, readonly Span[]] => one[1] !== undefined));
    }
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

  /** Read once for all tenants, since an event wakes every one of them. */
  #ofAll(room: RoomId, after: number): SpansByTenant {
    return this.#known.get(`${after}\n${room}`, () => {
      const spans = new Map<string, Span[]>();
      for (const { holder, from_seq, to_seq } of this.#inRoom.all(room, after)) {
        const span = { after: from_seq, upTo: to_seq };
        const known = spans.get(holder);
        if (known === undefined) spans.set(holder, [span]);
        else known.push(span);
      }
      return spans;
    });
  }
}
