import type { RoomMaking, RoomMakings } from "../act/contracts.ts";
import type { RoomAlias, RoomId, TenantId } from "../../model/ids.ts";
import { Store } from "../../storage/store.ts";

export class SqliteMakingStore extends Store implements RoomMakings {
  readonly #begin = this.sql<[string, string | null]>("INSERT INTO room_makings (tenant, alias) VALUES (?, ?)");
  readonly #made = this.sql<[string, number]>("UPDATE room_makings SET room_id = ? WHERE id = ?");
  readonly #end = this.sql<[number]>("DELETE FROM room_makings WHERE id = ?");
  readonly #all = this.sql<[], RoomMaking>("SELECT id, tenant, alias, room_id AS roomId FROM room_makings ORDER BY id");

  async begin(tenant: TenantId, alias: RoomAlias | null): Promise<number> {
    return Number(this.#begin.run(tenant, alias).lastInsertRowid);
  }

  async made(id: number, roomId: RoomId): Promise<void> {
    this.#made.run(roomId, id);
  }

  async end(id: number): Promise<void> {
    this.#end.run(id);
  }

  async all(): Promise<readonly RoomMaking[]> {
    return this.#all.all();
  }
}
