import { serverInRoomId, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import { mergeVia } from "../model/room.ts";
import { remember } from "../concurrency/remember.ts";

/** Rooms of each rank: what anybody may name pushes out nothing that a directory said. */
const KEPT = 10_000;
const ALIASES_KEPT = 8;

interface Known {
  readonly via: readonly ServerName[];
  /** Newest first. */
  readonly aliases: readonly RoomAlias[];
}

const NOTHING: Known = { via: [], aliases: [] };

/**
 * Servers to reach rooms through, as answers that pass by tell them: a client that peeks has often just resolved an alias, read a
 * directory or a space, and then names the room by its ID alone. What a peek succeeds with is kept by the ledger; this is for the
 * minutes before.
 */
export class RoutesMemory {
  readonly #own: ServerName;
  readonly #learnt = new Map<RoomId, Known>();
  readonly #hinted = new Map<RoomId, readonly ServerName[]>();

  /** @param own our own server, which leads nowhere */
  constructor(own: ServerName) {
    this.#own = own;
  }

  /** What a directory said of an alias. */
  learn(roomId: RoomId, via: readonly ServerName[], alias: RoomAlias): void {
    const known = this.#learnt.get(roomId) ?? NOTHING;
    const aliases = [...new Set([alias, ...known.aliases])].slice(0, ALIASES_KEPT);
    remember(this.#learnt, roomId, { via: mergeVia(via, known.via), aliases }, KEPT);
  }

  /** What somebody named: whoever asked for the room, a directory of another server, a space. It stands after what was learnt. */
  hint(roomId: RoomId, via: readonly ServerName[]): void {
    if (via.length === 0) return;
    remember(this.#hinted, roomId, mergeVia(via, this.#hinted.get(roomId) ?? []), KEPT);
  }

  /** Without the last resort: the ID of an older room names the server of its maker, which may have left it long ago. */
  of(roomId: RoomId): readonly ServerName[] {
    const known = mergeVia(this.#learnt.get(roomId)?.via ?? [], this.#hinted.get(roomId) ?? []);
    return known.filter((server) => server !== this.#own);
  }

  /** Some routes, and where there is room for another one the server that the room's ID names. */
  withLastResort(roomId: RoomId, via: readonly ServerName[]): readonly ServerName[] {
    const maker = serverInRoomId(roomId);
    return maker === null || maker === this.#own ? via : mergeVia(via, [maker]);
  }

  /** Names that a directory has for the room. */
  aliasesOf(roomId: RoomId): readonly RoomAlias[] {
    return this.#learnt.get(roomId)?.aliases ?? [];
  }
}
