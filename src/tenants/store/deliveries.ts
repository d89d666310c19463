import type { Database, Statement } from "better-sqlite3";
import type { DeliveryStore, Lag, Place, Step } from "../delivery/contracts.ts";
import type { Replayed, ReplayFrom, Stuck } from "../delivery/delivery.ts";
import type { TenantId } from "../../model/ids.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { LAST_SEQ } from "../../ledger/store/journal.ts";

interface Row {
  epoch: number;
  cursor: number;
  pendingTo: number | null;
  opening: string;
}

/** Each tenant's delivery position: its cursor in the journal, and the transaction under way. */
export class SqliteDeliveryStore implements DeliveryStore {
  readonly #db: Database;
  readonly #audit: AuditStore;
  readonly #place: Statement<[string], Row>;
  readonly #advance: Statement<[Step]>;
  readonly #pend: Statement<[Step]>;
  readonly #back: Statement<[{ tenant: string; cursor: number }]>;
  readonly #renew: Statement<[string]>;
  readonly #bounds: Statement<[], { first: number; last: number }>;
  readonly #receivedAt: Statement<[number], number>;

  constructor(db: Database, audit: AuditStore) {
    this.#db = db;
    this.#audit = audit;
    this.#place = db.prepare(
      "SELECT coalesce(d.epoch, 1) AS epoch, c.seq AS cursor, d.pending_to AS pendingTo, coalesce(d.opening, '') AS opening " +
        "FROM cursors c LEFT JOIN deliveries d ON c.consumer = 'tenant:' || d.tenant WHERE c.consumer = 'tenant:' || ?",
    );
    this.#advance = db.prepare(
      "UPDATE cursors SET seq = @cursor WHERE consumer = 'tenant:' || @tenant AND seq < @cursor " +
        "AND coalesce((SELECT epoch FROM deliveries WHERE tenant = @tenant), 1) = @epoch",
    );
    // A tenant's cursor is added and removed with it. A step from before a removal lies behind the new cursor.
    this.#pend = db.prepare(
      "INSERT INTO deliveries (tenant, epoch, pending_to, opening) SELECT @tenant, @epoch, @pendingTo, @opening " +
        "WHERE EXISTS (SELECT 1 FROM cursors WHERE consumer = 'tenant:' || @tenant AND seq <= @cursor) " +
        "ON CONFLICT (tenant) DO UPDATE SET pending_to = excluded.pending_to, opening = excluded.opening WHERE epoch = excluded.epoch",
    );
    this.#back = db.prepare("UPDATE cursors SET seq = @cursor WHERE consumer = 'tenant:' || @tenant");
    this.#renew = db.prepare(
      "INSERT INTO deliveries (tenant, epoch, pending_to) VALUES (?, 2, NULL) " +
        "ON CONFLICT (tenant) DO UPDATE SET epoch = epoch + 1, pending_to = NULL",
    );
    this.#bounds = db.prepare(`SELECT coalesce((SELECT min(first_seq) FROM journal), 1) AS first, ${LAST_SEQ} AS last`);
    this.#receivedAt = db
      .prepare<[number], number>("SELECT received_at FROM journal WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1")
      .pluck();
  }

  async place(tenant: TenantId): Promise<Place | null> {
    return this.#place.get(tenant) ?? null;
  }

  async write(steps: readonly Step[]): Promise<void> {
    this.#db
      .transaction(() => {
        for (const step of steps) {
          this.#advance.run(step);
          this.#pend.run(step);
        }
      })
      .immediate();
  }

  async replay(tenant: TenantId, from: ReplayFrom, at: number): Promise<Replayed | null> {
    return this.#db
      .transaction((): Replayed | null => {
        const place = this.#place.get(tenant);
        const { first, last } = this.#bounds.get() ?? { first: 1, last: 0 };
        if (place === undefined) return null;
        const seq = "seq" in from ? from.seq : this.#firstSince(from.at, first, last);
        if (seq < first) return { kind: "gone", oldest: first };
        if (seq > place.cursor) return { kind: "not-yet", next: place.cursor + 1 };
        this.#back.run({ tenant, cursor: seq - 1 });
        this.#renew.run(tenant);
        const detail = { tenant, from: seq };
        this.#audit.write({ actor: "operator", action: "tenant.replay", outcome: "done", roomId: null, detail }, at);
        return { kind: "done", from: seq };
      })
      .immediate();
  }

  async skip(tenant: TenantId, { seq, eventId, roomId, type }: Stuck, at: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const place = this.#place.get(tenant);
        if (place === undefined || place.cursor >= seq || (place.pendingTo !== null && place.pendingTo !== seq))
          return false;
        this.#advance.run({ tenant, ...place, cursor: seq, pendingTo: null });
        this.#pend.run({ tenant, ...place, cursor: seq, pendingTo: null });
        const detail = { tenant, event_id: eventId, seq, type };
        this.#audit.write({ actor: "operator", action: "tenant.skip", outcome: "done", roomId, detail }, at);
        return true;
      })
      .immediate();
  }

  async lag(after: number): Promise<Lag> {
    const { last } = this.#bounds.get() ?? { last: 0 };
    if (last <= after) return { events: 0, oldestAt: null };
    return { events: last - after, oldestAt: this.#receivedAt.get(after + 1) ?? null };
  }

  /** Returns the first number that arrived at `at` or later, by binary search; 0 if it may be gone. */
  #firstSince(at: number, first: number, last: number): number {
    if (first > 1 && (this.#receivedAt.get(first) ?? 0) > at) return 0;
    let low = first;
    let high = last + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#receivedAt.get(middle) ?? at) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
