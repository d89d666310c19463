import type { RoomId, ServerName } from "../../model/ids.ts";
import { mergeVia } from "../../model/room.ts";
import { Store } from "../../storage/store.ts";

/** The time a room was last heard of is kept by the hour. It is not worth a write with every event. */
const HEARD_MS = 60 * 60_000;

/** Maps rooms to numbers for the other tables: a tenth of an ID's bytes in each of a million rows. */
export class RoomNumbers extends Store {
  readonly #find = this.value<[string], number>("SELECT nr FROM rooms WHERE room_id = ?");
  readonly #make = this.value<[string], number>("INSERT INTO rooms (room_id) VALUES (?) RETURNING nr");
  readonly #via = this.value<[number], string>("SELECT via FROM rooms WHERE nr = ?");
  readonly #setVia = this.sql<[string, number]>("UPDATE rooms SET via = ? WHERE nr = ?");
  readonly #heard = this.sql<[number, number, number, number]>(`
    UPDATE rooms SET changed_at = ? WHERE nr = ? AND abs(? - changed_at) >= ?`);

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
