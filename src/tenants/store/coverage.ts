import type { Database } from "better-sqlite3";
import type { RoomId, TenantId } from "../../model/ids.ts";
import type { Memo } from "../../storage/memo.ts";
import { Store } from "../../storage/store.ts";

/** What a tenant's lease covers of a room: journal entries above `after`, up to and including `upTo`. */
export interface Span {
  readonly after: number;
  readonly upTo: number | null;
}

/** All tenants read new events of a room or two at once. A tenant far behind asks for many rooms alone. */
const FEW_ROOMS = 4;

type SpansByTenant = ReadonlyMap<TenantId, readonly Span[]>;

export class CoverageStore extends Store {
  // CROSS JOIN keeps the order: from the rooms asked for to their leases, never through all leases of a tenant.
  readonly #spans = this.sql<[string, string, number], Span & { roomId: RoomId }>(`
    SELECT r.room_id AS roomId, l.from_seq AS after, l.to_seq AS upTo
    FROM json_each(?) AS asked CROSS JOIN rooms r ON r.room_id = asked.value
    CROSS JOIN leases l ON l.room_nr = r.nr AND l.kind = 'tenant' AND l.holder = ?
    WHERE l.to_seq IS NULL OR l.to_seq > ? ORDER BY l.id`);
  readonly #inRoom = this.sql<[string, number], Span & { holder: TenantId }>(`
    SELECT holder, from_seq AS after, to_seq AS upTo FROM leases
    WHERE room_nr = (SELECT nr FROM rooms WHERE room_id = ?) AND kind = 'tenant'
      AND (to_seq IS NULL OR to_seq > ?) ORDER BY id`);
  readonly #known: Memo<SpansByTenant>;

  constructor(db: Database, known: Memo<SpansByTenant>) {
    super(db);
    this.#known = known;
  }

  /** Returns the spans of a tenant's leases, live and ended, by room; without spans that end at or before `after`. */
  async spansOf(
    tenant: TenantId,
    rooms: readonly RoomId[],
    after: number,
  ): Promise<ReadonlyMap<RoomId, readonly Span[]>> {
    if (rooms.length > FEW_ROOMS) {
      return spansBy(this.#spans.all(JSON.stringify(rooms), tenant, after), ({ roomId }) => roomId);
    }
    const few = rooms.map((room) => [room, this.#ofAll(room, after).get(tenant) ?? []] as const);
    return new Map(few.filter(([, spans]) => spans.length > 0));
  }

  /** Read once for all tenants, since an event wakes every one of them. */
  #ofAll(room: RoomId, after: number): SpansByTenant {
    return this.#known.get(`${after}\n${room}`, () => spansBy(this.#inRoom.all(room, after), ({ holder }) => holder));
  }
}

function spansBy<Row extends Span, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): Map<Key, Span[]> {
  const groups = Map.groupBy(rows, keyOf);
  return new Map([...groups].map(([key, group]) => [key, group.map(({ after, upTo }) => ({ after, upTo }))]));
}
