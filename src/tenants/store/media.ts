import type { TenantId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

/** Media IDs reserved by tenants, all the pseudouser's to the homeserver. */
export class SqliteMediaStore extends Store {
  readonly #add = this.sql<[string, string, number]>(
    "INSERT OR REPLACE INTO media_reservations (media_id, tenant, expires_at) VALUES (?, ?, ?)",
  );
  readonly #owner = this.value<[string, number], TenantId>(
    "SELECT tenant FROM media_reservations WHERE media_id = ? AND expires_at > ?",
  );
  readonly #count = this.value<[string, number], number>(
    "SELECT count(*) FROM media_reservations WHERE tenant = ? AND expires_at > ?",
  );
  readonly #remove = this.sql<[string]>("DELETE FROM media_reservations WHERE media_id = ?");
  readonly #expire = this.sql<[number]>("DELETE FROM media_reservations WHERE expires_at <= ?");

  async countOf(tenant: TenantId, now: number): Promise<number> {
    return this.#count.get(tenant, now) ?? 0;
  }

  /** Called before the tenant gets the ID. Also removes expired reservations. */
  async add(mediaId: string, tenant: TenantId, expiresAt: number, now: number): Promise<void> {
    this.commit(() => {
      this.#expire.run(now);
      this.#add.run(mediaId, tenant, expiresAt);
    });
  }

  /** Returns the owner; null if the ID was never reserved, was uploaded to, or has expired. */
  async ownerOf(mediaId: string, now: number): Promise<TenantId | null> {
    return this.#owner.get(mediaId, now) ?? null;
  }

  async remove(mediaId: string): Promise<void> {
    this.#remove.run(mediaId);
  }
}
