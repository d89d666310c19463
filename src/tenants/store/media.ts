import type { Database, Statement } from "better-sqlite3";
import type { MediaReservations } from "../act/contracts.ts";
import type { TenantId } from "../../model/ids.ts";

export class SqliteMediaStore implements MediaReservations {
  readonly #db: Database;
  readonly #add: Statement<[string, string, number]>;
  readonly #owner: Statement<[string, number], string>;
  readonly #count: Statement<[string, number], number>;
  readonly #remove: Statement<[string]>;
  readonly #expire: Statement<[number]>;

  constructor(db: Database) {
    this.#db = db;
    this.#add = db.prepare("INSERT INTO media_reservations (media_id, tenant, expires_at) VALUES (?, ?, ?)");
    this.#owner = db
      .prepare<[string, number], string>("SELECT tenant FROM media_reservations WHERE media_id = ? AND expires_at > ?")
      .pluck();
    this.#count = db
      .prepare<[string, number], number>("SELECT count(*) FROM media_reservations WHERE tenant = ? AND expires_at > ?")
      .pluck();
    this.#remove = db.prepare("DELETE FROM media_reservations WHERE media_id = ?");
    this.#expire = db.prepare("DELETE FROM media_reservations WHERE expires_at <= ?");
  }

  async countOf(tenant: TenantId, now: number): Promise<number> {
    return this.#count.get(tenant, now) ?? 0;
  }

  async add(mediaId: string, tenant: TenantId, expiresAt: number, now: number): Promise<void> {
    this.#db
      .transaction(() => {
        this.#expire.run(now);
        this.#remove.run(mediaId);
        this.#add.run(mediaId, tenant, expiresAt);
      })
      .immediate();
  }

  async ownerOf(mediaId: string, now: number): Promise<TenantId | null> {
    return (this.#owner.get(mediaId, now) ?? null) as TenantId | null;
  }

  async remove(mediaId: string): Promise<void> {
    this.#remove.run(mediaId);
  }
}
