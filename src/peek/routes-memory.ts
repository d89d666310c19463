import { serverInRoomId, type RoomAlias, type RoomId, type ServerName } from "../model/ids.ts";
import { mergeVia } from "../model/room.ts";
import { remember } from "../concurrency/remember.ts";

/** Rooms kept in each rank. Routes that anybody may name do not evict routes from a directory. */
const KEPT = 10_000;
const ALIASES_KEPT = 8;

interface Known {
  readonly via: readonly ServerName[];
  /** Newest first. */
  readonly aliases: readonly RoomAlias[];
}

const NOTHING: Known = { via: [], aliases: [] };

/**
 * Remembers servers that lead to rooms, from answers that pass by. A client that peeks has often just resolved an
 * alias or read a directory, and then names the room by its ID alone. The ledger keeps a successful peek's routes.
 */
export class RoutesMemory {
  readonly #own: ServerName;
  readonly #learnt = new Map<RoomId, Known>();
  readonly #hinted = new Map<RoomId, readonly ServerName[]>();

  /** @param own our own server, which is never a route */
  constructor(own: ServerName) {
    this.#own = own;
  }

  /** Stores a directory's answer for an alias. */
  learn(roomId: RoomId, via: readonly ServerName[], alias: RoomAlias): void {
    const known = this.#learnt.get(roomId) ?? NOTHING;
    const aliases = [...new Set([alias, ...known.aliases])].slice(0, ALIASES_KEPT);
    remember(this.#learnt, roomId, { via: mergeVia(via, known.via), aliases }, KEPT);
  }

  /** Stores routes from a caller, another server's directory or a space. They rank below learnt ones. */
  hint(roomId: RoomId, via: readonly ServerName[]): void {
    if (via.length === 0) return;
    remember(this.#hinted, roomId, mergeVia(via, this.#hinted.get(roomId) ?? []), KEPT);
  }

  /** Returns the routes without the last resort: an older ID names a creator's server that may have left long ago. */
  of(roomId: RoomId): readonly ServerName[] {
    const known = mergeVia(this.#learnt.get(roomId)?.via ?? [], this.#hinted.get(roomId) ?? []);
    return known.filter((server) => server !== this.#own);
  }

  /** Adds the server in the room's ID, if the list of routes has space for it. */
  withLastResort(roomId: RoomId, via: readonly ServerName[]): readonly ServerName[] {
    const maker = serverInRoomId(roomId);
    return maker === null || maker === this.#own ? via : mergeVia(via, [maker]);
  }

  aliasesOf(roomId: RoomId): readonly RoomAlias[] {
    return this.#learnt.get(roomId)?.aliases ?? [];
  }
}
