import type { RoomAlias, RoomId, ServerName } from "../../model/ids.ts";
import { mergeVia } from "../../model/room.ts";
import { remember } from "../../model/remember.ts";

const KEPT = 10_000;
const ALIASES_KEPT = 8;

interface Known {
  readonly via: readonly ServerName[];
  /** Newest first. */
  readonly aliases: readonly RoomAlias[];
}

const NOTHING: Known = { via: [], aliases: [] };

/**
 * Servers to reach rooms through, as look-ups that pass by tell them: a client that peeks has often just resolved an alias, and then
 * names the room by its ID alone. What a peek succeeds with is kept by the ledger; this is for the minutes before.
 */
export class RoutesMemory {
  readonly #rooms = new Map<RoomId, Known>();

  /** What a directory said of a room. */
  learn(roomId: RoomId, via: readonly ServerName[], alias: RoomAlias): void {
    const known = this.#rooms.get(roomId) ?? NOTHING;
    const aliases = [...new Set([alias, ...known.aliases])].slice(0, ALIASES_KEPT);
    remember(this.#rooms, roomId, { via: mergeVia(via, known.via), aliases }, KEPT);
  }

  /** What somebody who asked for a room named. It stands last: anybody can name anything. */
  hint(roomId: RoomId, via: readonly ServerName[]): void {
    if (via.length === 0) return;
    const known = this.#rooms.get(roomId) ?? NOTHING;
    remember(this.#rooms, roomId, { ...known, via: mergeVia(known.via, via) }, KEPT);
  }

  of(roomId: RoomId): readonly ServerName[] {
    return this.#rooms.get(roomId)?.via ?? [];
  }

  /** Names that a directory has for the room. */
  aliasesOf(roomId: RoomId): readonly RoomAlias[] {
    return this.#rooms.get(roomId)?.aliases ?? [];
  }
}
