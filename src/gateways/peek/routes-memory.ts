import type { RoomId, ServerName } from "../../model/ids.ts";
import { mergeVia } from "../../model/room.ts";

const KEPT = 10_000;

/**
 * Servers to reach rooms through, as look-ups that pass by tell them: a client that peeks has often just resolved an alias, and then
 * names the room by its ID alone. What a peek succeeds with is kept by the ledger; this is for the minutes before.
 */
export class RoutesMemory {
  readonly #routes = new Map<RoomId, readonly ServerName[]>();

  learn(roomId: RoomId, via: readonly ServerName[]): void {
    if (via.length === 0) return;
    const merged = mergeVia(via, this.#routes.get(roomId) ?? []);
    this.#routes.delete(roomId);
    this.#routes.set(roomId, merged);
    if (this.#routes.size > KEPT) {
      const oldest = this.#routes.keys().next();
      if (oldest.done !== true) this.#routes.delete(oldest.value);
    }
  }

  of(roomId: RoomId): readonly ServerName[] {
    return this.#routes.get(roomId) ?? [];
  }
}
