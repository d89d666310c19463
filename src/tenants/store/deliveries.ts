import type { Database } from "better-sqlite3";
import type { EventId, RoomId, TenantId } from "../../model/ids.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { LAST_SEQ } from "../../ledger/store/journal.ts";
import { Store } from "../../storage/store.ts";

export interface Place {
  /** Rises with each replay, so that transaction IDs are new. */
  readonly epoch: number;
  /** Everything up to this number of the journal is delivered. */
  readonly cursor: number;
  /** Last number of the transaction that was begun; null for none. */
  readonly pendingTo: number | null;
  /** The opening of the database in which it was begun (see Openings): keeps its transaction ID stable. */
  readonly opening: string;
}

export interface Step extends Place {
  readonly tenant: TenantId;
}

/** The one event that a tenant does not take and that blocks all later ones. */
export interface Stuck {
  readonly seq: number;
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly type: string;
  /** Size of the transaction with only this event. */
  readonly bytes: number;
  readonly since: number;
}

/** Where a replay begins: at a number of the journal, or with events that arrived at or after a moment. */
export type ReplayFrom = { readonly seq: number } | { readonly at: number };

export type Replayed =
  | { readonly kind: "done"; readonly from: number }
  /** The journal no longer goes back so far. */
  | { readonly kind: "gone"; readonly oldest: number }
  /** The event was not delivered for the first time yet. */
  | { readonly kind: "not-yet"; readonly next: number };

/** Each tenant's delivery position: its cursor in the journal, and the transaction under way. Each call is one commit. */
export class DeliveryStore extends Store {
  readonly #audit: AuditStore;
  readonly #place = this.sql<[string], Place>(`
    SELECT coalesce(d.epoch, 1) AS epoch, c.seq AS cursor, d.pending_to AS pendingTo, coalesce(d.opening, '') AS opening
    FROM cursors c LEFT JOIN deliveries d ON c.consumer = 'tenant:' || d.tenant WHERE c.consumer = 'tenant:' || ?`);
  readonly #advance = this.sql<[Step]>(`
    UPDATE cursors SET seq = @cursor WHERE consumer = 'tenant:' || @tenant AND seq < @cursor
      AND coalesce((SELECT epoch FROM deliveries WHERE tenant = @tenant), 1) = @epoch`);
  // A tenant's cursor is added and removed with it. A step from before a removal lies behind the new cursor.
  readonly #pend = this.sql<[Step]>(`
    INSERT INTO deliveries (tenant, epoch, pending_to, opening) SELECT @tenant, @epoch, @pendingTo, @opening
    WHERE EXISTS (SELECT 1 FROM cursors WHERE consumer = 'tenant:' || @tenant AND seq <= @cursor)
    ON CONFLICT (tenant) DO UPDATE SET pending_to = excluded.pending_to, opening = excluded.opening
    WHERE epoch = excluded.epoch`);
  readonly #back = this.sql<[number, string]>("UPDATE cursors SET seq = ? WHERE consumer = 'tenant:' || ?");
  readonly #renew = this.sql<[string]>(`
    INSERT INTO deliveries (tenant, epoch, pending_to) VALUES (?, 2, NULL)
    ON CONFLICT (tenant) DO UPDATE SET epoch = epoch + 1, pending_to = NULL`);
  readonly #first = this.value<[], number>("SELECT coalesce((SELECT min(first_seq) FROM journal), 1)");
  readonly #last = this.value<[], number>(`SELECT ${LAST_SEQ}`);
  readonly #receivedAt = this.value<[number], number>(
    "SELECT received_at FROM journal WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
  );

  constructor(db: Database, audit: AuditStore) {
    super(db);
    this.#audit = audit;
  }

  /** Null if there is no such tenant, or nothing is delivered to it. */
  async place(tenant: TenantId): Promise<Place | null> {
    return this.#place.get(tenant) ?? null;
  }

  /** Writes positions. Ignores steps of a past epoch or of a removed tenant, and never moves a cursor back. */
  async write(steps: readonly Step[]): Promise<void> {
    this.commit(() => {
      for (const step of steps) this.#write(step);
    });
  }

  #write(step: Step): void {
    this.#advance.run(step);
    this.#pend.run(step);
  }

  /** Sets the cursor back, drops the pending transaction, begins an epoch, audits; null for an unknown tenant. */
  async replay(tenant: TenantId, from: ReplayFrom, at: number): Promise<Replayed | null> {
    return this.commit((): Replayed | null => {
      const place = this.#place.get(tenant);
      if (place === undefined) return null;
      const first = this.#first.get() ?? 1;
      const seq = "seq" in from ? from.seq : this.#firstSince(from.at, first);
      if (seq < first) return { kind: "gone", oldest: first };
      if (seq > place.cursor) return { kind: "not-yet", next: place.cursor + 1 };
      this.#back.run(seq - 1, tenant);
      this.#renew.run(tenant);
      const detail = { tenant, from: seq };
      this.#audit.write({ actor: "operator", action: "tenant.replay", outcome: "done", roomId: null, detail }, at);
      return { kind: "done", from: seq };
    });
  }

  /** Moves the cursor past an event that the tenant does not take, and audits; false if the cursor is elsewhere. */
  async skip(tenant: TenantId, { seq, eventId, roomId, type }: Stuck, at: number): Promise<boolean> {
    return this.commit(() => {
      const place = this.#place.get(tenant);
      if (place === undefined || place.cursor >= seq || (place.pendingTo ?? seq) !== seq) return false;
      this.#write({ tenant, ...place, cursor: seq, pendingTo: null });
      const detail = { tenant, event_id: eventId, seq, type };
      this.#audit.write({ actor: "operator", action: "tenant.skip", outcome: "done", roomId, detail }, at);
      return true;
    });
  }

  /** Counts the entries of the journal beyond a number. `oldestAt` is the arrival of the first; null for none. */
  async lag(after: number): Promise<{ readonly events: number; readonly oldestAt: number | null }> {
    const events = Math.max(0, (this.#last.get() ?? 0) - after);
    return { events, oldestAt: events === 0 ? null : (this.#receivedAt.get(after + 1) ?? null) };
  }

  /** Returns the first number that arrived at `at` or later, by binary search; 0 if it may be gone. */
  #firstSince(at: number, first: number): number {
    if (first > 1 && (this.#receivedAt.get(first) ?? 0) > at) return 0;
    let low = first;
    let high = (this.#last.get() ?? 0) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#receivedAt.get(middle) ?? at) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
