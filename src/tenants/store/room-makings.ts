import type { Database, Statement } from "better-sqlite3";
import type { RoomMaking, RoomMakings } from "../act/contracts.ts";
import type { RoomAlias, RoomId, TenantId } from "../../model/ids.ts";

interface Row {
  id: number;
  tenant: string;
  alias: string | null;
  room_id: string | null;
}

export class SqliteMakingStore implements RoomMakings {
  readonly #begin: Statement<[string, string | null]>;
  readonly #made: Statement<[string, number]>;
  readonly #end: Statement<[number]>;
  readonly #all: Statement<[], Row>;

  constructor(db: Database) {
    this.#begin = db.prepare("INSERT INTO room_makings (tenant, alias) VALUES (?, ?)");
    this.#made = db.prepare("UPDATE room_makings SET room_id = ? WHERE id = ?");
    this.#end = db.prepare("DELETE FROM room_makings WHERE id = ?");
    this.#all = db.prepare("SELECT id, tenant, alias, room_id FROM room_makings ORDER BY id");
  }

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
    return this.#all.all().map((row) => ({
      id: row.id,
      tenant: row.tenant as TenantId,
      alias: row.alias as RoomAlias | null,
      roomId: row.room_id as RoomId | null,
    }));
  }
}
