import type { Database } from "better-sqlite3";
import type { RoomAlias } from "../../model/ids.ts";
import type { Pin, PinSource } from "../pins.ts";
import type { AuditStore } from "../../storage/audit.ts";
import { Store } from "../../storage/store.ts";

/** Stores the rooms that aliases stand for. `put` and `drop` are for stores that write more in the same commit. */
export class PinStore extends Store {
  readonly #audit: AuditStore;
  readonly #of = this.sql<[string], Pin>(
    "SELECT alias, room_id AS roomId, at FROM alias_pins WHERE source = ? ORDER BY alias",
  );
  readonly #put = this.sql<[string, string, string, number]>(
    "INSERT OR REPLACE INTO alias_pins (source, alias, room_id, at) VALUES (?, ?, ?, ?)",
  );
  readonly #drop = this.sql<[string, string]>("DELETE FROM alias_pins WHERE source = ? AND alias = ?");

  constructor(db: Database, audit: AuditStore) {
    super(db);
    this.#audit = audit;
  }

  async of(source: PinSource): Promise<readonly Pin[]> {
    return this.#of.all(source);
  }

  /** Pins an alias to a room, replacing an earlier pin, with an audit row. */
  async pin(source: PinSource, pin: Pin): Promise<void> {
    this.commit(() => {
      this.put(source, pin);
      const detail = { alias: pin.alias, of: source };
      const what = { action: "alias.pin", outcome: "done", roomId: pin.roomId, detail };
      this.#audit.write({ actor: "emissary", ...what }, pin.at);
    });
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
