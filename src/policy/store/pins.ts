import type { Database, Statement } from "better-sqlite3";
import type { RoomAlias, RoomId } from "../../model/ids.ts";
import type { Pin, PinSource, PinStore } from "../pins.ts";
import type { AuditStore } from "../../storage/audit.ts";

interface Row {
  alias: string;
  room_id: string;
  at: number;
}

/** Stores the rooms that aliases stand for. `put` and `drop` are for stores that write more in the same commit. */
export class SqlitePinStore implements PinStore {
  readonly #db: Database;
  readonly #audit: AuditStore;
  readonly #of: Statement<[string], Row>;
  readonly #put: Statement<[string, string, string, number]>;
  readonly #drop: Statement<[string, string]>;

  constructor(db: Database, audit: AuditStore) {
    this.#db = db;
    this.#audit = audit;
    this.#of = db.prepare("SELECT alias, room_id, at FROM alias_pins WHERE source = ? ORDER BY alias");
    this.#put = db.prepare("INSERT OR REPLACE INTO alias_pins (source, alias, room_id, at) VALUES (?, ?, ?, ?)");
    this.#drop = db.prepare("DELETE FROM alias_pins WHERE source = ? AND alias = ?");
  }

  async of(source: PinSource): Promise<readonly Pin[]> {
    return this.#of
      .all(source)
      .map(({ alias, room_id, at }) => ({ alias: alias as RoomAlias, roomId: room_id as RoomId, at }));
  }

  async pin(source: PinSource, pin: Pin): Promise<void> {
    this.#db
      .transaction(() => {
        this.put(source, pin);
        const detail = { alias: pin.alias, of: source };
        const what = { action: "alias.pin", outcome: "done", roomId: pin.roomId, detail };
        this.#audit.write({ actor: "emissary", ...what }, pin.at);
      })
      .immediate();
  }

  async unpin(source: PinSource, alias: RoomAlias): Promise<void> {
    this.drop(source, alias);
  }

  put(source: PinSource, { alias, roomId, at }: Pin): void {
    this.#put.run(source, alias, roomId, at);
  }

  drop(source: PinSource, alias: string): void {
    this.#drop.run(source, alias);
  }
}
