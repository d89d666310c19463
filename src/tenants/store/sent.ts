import type { Database, Statement } from "better-sqlite3";
import type { AuditStore } from "../../storage/audit.ts";
import type { AuditWriter, Deed, SentEvents } from "../act/contracts.ts";
import type { SentTransactions } from "../sync/contracts.ts";
import type { EventOwners } from "../feed/contracts.ts";
import { ownTxnId, type Owner } from "../../model/attribution.ts";
import type { EventId, TenantId, UserId } from "../../model/ids.ts";
import type { SentEvent } from "../act/sent.ts";

/** Events kept of each tenant. */
const KEPT = 20_000;
/** Excess events of a tenant are removed after this many new ones. */
const LOOK_EVERY = 64;

interface OwnerRow {
  tenant: string;
  persona: string | null;
}

export class SqliteSentStore implements AuditWriter, SentEvents, SentTransactions, EventOwners {
  readonly #audit: Pick<AuditStore, "noteAll">;
  readonly #find: Statement<[string, number], string>;
  readonly #owner: Statement<[string], OwnerRow>;
  readonly #txns: Statement<[string, string], OwnerRow & { event_id: string; txn_id: string }>;
  readonly #add: Statement<[string, string, string, string | null, number]>;
  readonly #trim: Statement<[string, string]>;

  /** @param kept for tests: events kept of a tenant */
  constructor(db: Database, audit: Pick<AuditStore, "noteAll">, kept = KEPT) {
    this.#audit = audit;
    this.#find = db
      .prepare<[string, number], string>("SELECT event_id FROM sent_events WHERE txn_id = ? AND at > ?")
      .pluck();
    this.#owner = db.prepare("SELECT tenant, persona FROM sent_events WHERE event_id = ?");
    this.#txns = db.prepare(
      "SELECT event_id, txn_id, tenant, persona FROM sent_events WHERE tenant = ? " +
        "AND event_id IN (SELECT value FROM json_each(?))",
    );
    this.#add = db.prepare(
      "INSERT INTO sent_events (txn_id, event_id, tenant, persona, at) VALUES (?, ?, ?, ?, ?) " +
        "ON CONFLICT (txn_id) DO UPDATE SET event_id = excluded.event_id, at = excluded.at",
    );
    this.#trim = db.prepare(
      "DELETE FROM sent_events WHERE tenant = ? AND nr <= " +
        `(SELECT nr FROM sent_events WHERE tenant = ? ORDER BY nr DESC LIMIT 1 OFFSET ${kept})`,
    );
  }

  async find(txnId: string, since: number): Promise<EventId | null> {
    return (this.#find.get(txnId, since) ?? null) as EventId | null;
  }

  async ownersOf(eventIds: readonly string[]): Promise<ReadonlyMap<string, Owner>> {
    const owners = new Map<string, Owner>();
    for (const eventId of eventIds) {
      const row = this.#owner.get(eventId);
      if (row === undefined) continue;
      owners.set(eventId, { tenant: row.tenant as TenantId, persona: row.persona as UserId | null });
    }
    return owners;
  }

  async txnIdsOf(tenant: TenantId, eventIds: readonly EventId[]): Promise<ReadonlyMap<EventId, string>> {
    const found = new Map<EventId, string>();
    if (eventIds.length === 0) return found;
    for (const row of this.#txns.all(tenant, JSON.stringify(eventIds))) {
      const own = ownTxnId({ tenant, persona: row.persona as UserId | null }, row.txn_id);
      if (own !== null) found.set(row.event_id as EventId, own);
    }
    return found;
  }

  async noteAll(deeds: readonly Deed[], at: number): Promise<void> {
    await this.#audit.noteAll(deeds, at, () =>
      deeds.reduce((rows, { sent }) => rows + (sent === undefined ? 0 : this.#write(sent, at)), 0),
    );
  }

  /** @returns the number of changed rows */
  #write({ txnId, eventId, owner }: SentEvent, at: number): number {
    const added = this.#add.run(txnId, eventId, owner.tenant, owner.persona, at);
    if (Number(added.lastInsertRowid) % LOOK_EVERY !== 0) return added.changes;
    return added.changes + this.#trim.run(owner.tenant, owner.tenant).changes;
  }
}
