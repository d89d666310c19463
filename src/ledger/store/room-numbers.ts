import type { Database, Statement } from "better-sqlite3";
import type { RoomId, ServerName } from "../../model/ids.ts";
import { mergeVia } from "../../model/room.ts";

/** The time a room was last heard of is kept by the hour. It is not worth a write with every event. */
const HEARD_MS = 60 * 60_000;

/** Maps rooms to numbers for the other tables: a tenth of an ID's bytes in each of a million rows. */
export class RoomNumbers {
  readonly #find: Statement<[string], number>;
  readonly #make: Statement<[string], number>;
  readonly #via: Statement<[number], string>;
  readonly #setVia: Statement<[string, number]>;
  readonly #heard: Statement<[number, number, number, number]>;

  constructor(db: Database) {
    this.#find = db.prepare<[string], number>("SELECT nr FROM rooms WHERE room_id = ?").pluck();
    this.#make = db.prepare<[string], number>("INSERT INTO rooms (room_id) VALUES (?) RETURNING nr").pluck();
    this.#via = db.prepare<[number], string>("SELECT via FROM rooms WHERE nr = ?").pluck();
    this.#setVia = db.prepare("UPDATE rooms SET via = ? WHERE nr = ?");
    this.#heard = db.prepare("UPDATE rooms SET changed_at = ? WHERE nr = ? AND abs(? - changed_at) >= ?");
  }

  find(roomId: RoomId): number | null {
    return this.#find.get(roomId) ?? null;
  }

  /** Returns the room's number, and assigns one if it has none. Call it inside a transaction. */
  take(roomId: RoomId): number {
    const nr = this.#find.get(roomId) ?? this.#make.get(roomId);
    if (nr === undefined) throw new Error("INSERT … RETURNING returned nothing");
    return nr;
  }

  /** Notes that there was news of the room. */
  hear(nr: number, now: number): void {
    this.#heard.run(now, nr, now, HEARD_MS);
  }

  via(nr: number): readonly ServerName[] {
    return parseVia(this.#via.get(nr) ?? "[]");
  }

  learnVia(nr: number, fresh: readonly ServerName[]): void {
    if (fresh.length === 0) return;
    const known = this.#via.get(nr) ?? "[]";
    const merged = JSON.stringify(mergeVia(fresh, parseVia(known)));
    if (merged !== known) this.#setVia.run(merged, nr);
  }
}

export function parseVia(json: string): ServerName[] {
  return JSON.parse(json) as ServerName[];
}
