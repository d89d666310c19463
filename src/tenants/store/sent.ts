import type { Database } from "better-sqlite3";
import type { AuditStore } from "../../storage/audit.ts";
import type { AuditEntry } from "../../model/audit.ts";
import { ownTxnId, type Owner } from "../../model/attribution.ts";
import type { EventId, TenantId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

const KEPT = 20_000;
/** Excess events of a tenant are removed after this many new ones. */
const LOOK_EVERY = 64;

/** An event that the homeserver made for a tenant's request with a transaction ID. */
export interface SentEvent {
  /** The homeserver's transaction ID (`txnIdAt`). */
  readonly txnId: string;
  readonly eventId: EventId;
  readonly owner: Owner;
}

/** An audit entry. `sent` is the event, if a repeated request must return the same one. */
export interface Deed extends AuditEntry {
  readonly sent?: SentEvent;
}

/** The events that tenants sent, and their owners and transaction IDs. */
export class SqliteSentStore extends Store {
  readonly #audit: Pick<AuditStore, "noteAll">;
  readonly #kept: number;
  readonly #find = this.value<[string, number], EventId>(
    "SELECT event_id FROM sent_events WHERE txn_id = ? AND at > ?",
  );
  readonly #owner = this.sql<[string], Owner>("SELECT tenant, persona FROM sent_events WHERE event_id = ?");
  readonly #txns = this.sql<[string, string], Owner & { event_id: EventId; txn_id: string }>(`
    SELECT event_id, txn_id, tenant, persona FROM sent_events
    WHERE tenant = ? AND event_id IN (SELECT value FROM json_each(?))`);
  readonly #add = this.sql<[string, string, string, string | null, number]>(`
    INSERT INTO sent_events (txn_id, event_id, tenant, persona, at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (txn_id) DO UPDATE SET event_id = excluded.event_id, at = excluded.at`);
  readonly #trim = this.sql<[{ tenant: string; kept: number }]>(`
    DELETE FROM sent_events WHERE tenant = @tenant
      AND nr <= (SELECT nr FROM sent_events WHERE tenant = @tenant ORDER BY nr DESC LIMIT 1 OFFSET @kept)`);

  /** @param kept for tests: events kept of a tenant */
  constructor(db: Database, audit: Pick<AuditStore, "noteAll">, kept = KEPT) {
    super(db);
    this.#audit = audit;
    this.#kept = kept;
  }

  /** Returns the event that was sent with a transaction ID since then, or null. */
  async find(txnId: string, since: number): Promise<EventId | null> {
    return this.#find.get(txnId, since) ?? null;
  }

  /** Returns the known owners of events. Answers do not change while the owners are known. */
  async ownersOf(eventIds: readonly string[]): Promise<ReadonlyMap<string, Owner>> {
    const owners = new Map<string, Owner>();
    for (const eventId of eventIds) {
      const owner = this.#owner.get(eventId);
      if (owner !== undefined) owners.set(eventId, owner);
    }
    return owners;
  }

  /** Returns the transaction IDs with which a tenant's events were sent, for known events of the tenant. */
  async txnIdsOf(tenant: TenantId, eventIds: readonly EventId[]): Promise<ReadonlyMap<EventId, string>> {
    const found = new Map<EventId, string>();
    if (eventIds.length === 0) return found;
    for (const { event_id: eventId, txn_id: txnId, ...owner } of this.#txns.all(tenant, JSON.stringify(eventIds))) {
      const own = ownTxnId(owner, txnId);
      if (own !== null) found.set(eventId, own);
    }
    return found;
  }

  /** Writes the entries and the sent events in one commit. */
  async noteAll(deeds: readonly Deed[], at: number): Promise<void> {
    await this.#audit.noteAll(deeds, at, () =>
      deeds.reduce((rows, { sent }) => rows + (sent === undefined ? 0 : this.#write(sent, at)), 0),
    );
  }

  #write({ txnId, eventId, owner }: SentEvent, at: number): number {
    const added = this.#add.run(txnId, eventId, owner.tenant, owner.persona, at);
    if (Number(added.lastInsertRowid) % LOOK_EVERY !== 0) return added.changes;
    return added.changes + this.#trim.run({ tenant: owner.tenant, kept: this.#kept }).changes;
  }
}
