import type { Database, Statement } from "better-sqlite3";
import type { TenantId, UserId } from "../../model/ids.ts";
import type { TenantAction } from "../../model/tenant.ts";
import type { StoredTenant, TenantStore } from "../../policy/tenants.ts";
import type { AuditStore } from "./audit-store.ts";
import type { LeaseBook, LeaseRow } from "./lease-book.ts";

interface Row {
  id: string;
  sender: string;
  url: string | null;
  users: string | null;
  actions: string;
  token_hash: string;
  hs_salt: string;
  created_at: number;
}

export class SqliteTenantStore implements TenantStore {
  readonly #db: Database;
  readonly #book: LeaseBook;
  readonly #audit: AuditStore;
  readonly #all: Statement<[], Row>;
  readonly #add: Statement;
  readonly #rotate: Statement<[string, string, string]>;
  readonly #remove: Statement<[string]>;
  readonly #leases: Statement<[string], LeaseRow>;

  constructor(db: Database, book: LeaseBook, audit: AuditStore) {
    this.#db = db;
    this.#book = book;
    this.#audit = audit;
    this.#all = db.prepare("SELECT * FROM tenants ORDER BY id");
    this.#add = db.prepare(
      "INSERT INTO tenants (id, sender, url, users, actions, token_hash, hs_salt, created_at) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    this.#rotate = db.prepare("UPDATE tenants SET token_hash = ?, hs_salt = ? WHERE id = ?");
    this.#remove = db.prepare("DELETE FROM tenants WHERE id = ?");
    this.#leases = db.prepare(
      "SELECT id, room_nr, kind, holder, taken_at, expires_at FROM leases WHERE kind = 'tenant' AND holder = ? AND ended_at IS NULL",
    );
  }

  async all(): Promise<readonly StoredTenant[]> {
    return this.#all.all().map((row) => ({
      tenant: {
        id: row.id as TenantId,
        sender: row.sender as UserId,
        url: row.url,
        users: row.users,
        actions: JSON.parse(row.actions) as TenantAction[],
        createdAt: row.created_at,
      },
      tokenHash: row.token_hash,
      hsSalt: row.hs_salt,
    }));
  }

  async add({ tenant, tokenHash, hsSalt }: StoredTenant, at: number): Promise<boolean> {
    const { id, sender, url, users, actions } = tenant;
    return this.#db
      .transaction(() => {
        const added = this.#add.run(id, sender, url, users, JSON.stringify(actions), tokenHash, hsSalt, at).changes > 0;
        if (added) this.#note("tenant.add", id, at, { url, users, actions: [...actions] });
        return added;
      })
      .immediate();
  }

  async rotate(id: TenantId, tokenHash: string, hsSalt: string, at: number): Promise<boolean> {
    return this.#db
      .transaction(() => {
        const rotated = this.#rotate.run(tokenHash, hsSalt, id).changes > 0;
        if (rotated) this.#note("tenant.rotate", id, at, {});
        return rotated;
      })
      .immediate();
  }

  async remove(id: TenantId, at: number): Promise<{ readonly leasesEnded: number } | null> {
    return this.#db
      .transaction(() => {
        if (this.#remove.run(id).changes === 0) return null;
        const leases = this.#leases.all(id);
        for (const lease of leases) {
          this.#book.endOne(lease, "tenant-removed", at);
          this.#book.wake(lease.room_nr, at);
        }
        this.#note("tenant.remove", id, at, { leases_ended: leases.length });
        return { leasesEnded: leases.length };
      })
      .immediate();
  }

  #note(action: string, id: TenantId, at: number, detail: Record<string, string | number | null | string[]>): void {
    this.#audit.write(
      { actor: "operator", action, outcome: "done", roomId: null, detail: { tenant: id, ...detail } },
      at,
    );
  }
}
