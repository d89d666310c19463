import type { RoomAlias, RoomId, TenantId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

/** A room that a tenant is making, or was making when Emissary ended. */
export interface RoomMaking {
  readonly id: number;
  readonly tenant: TenantId;
  /** The alias to be made with the room; null for none, or if the alias existed before. */
  readonly alias: RoomAlias | null;
  /** Null until the homeserver has named it. */
  readonly roomId: RoomId | null;
}

export class SqliteMakingStore extends Store {
  readonly #begin = this.sql<[string, string | null]>("INSERT INTO room_makings (tenant, alias) VALUES (?, ?)");
  readonly #made = this.sql<[string, number]>("UPDATE room_makings SET room_id = ? WHERE id = ?");
  readonly #end = this.sql<[number]>("DELETE FROM room_makings WHERE id = ?");
  readonly #all = this.sql<[], RoomMaking>("SELECT id, tenant, alias, room_id AS roomId FROM room_makings ORDER BY id");

  /** Called before the request to the homeserver. Returns the ID of the new entry. */
  async begin(tenant: TenantId, alias: RoomAlias | null): Promise<number> {
    return Number(this.#begin.run(tenant, alias).lastInsertRowid);
  }

  async made(id: number, roomId: RoomId): Promise<void> {
    this.#made.run(roomId, id);
  }

  /** Called when the tenant has the room, or nothing of it is left. */
  async end(id: number): Promise<void> {
    this.#end.run(id);
  }

  async all(): Promise<readonly RoomMaking[]> {
    return this.#all.all();
  }
}
