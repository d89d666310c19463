import { ON_BEHALF_OF } from "../../../model/attribution.ts";
import { EmissaryError } from "../../../model/errors.ts";
import { isRoomId, type RoomAlias, type RoomId, type TenantId, type UserId } from "../../../model/ids.ts";
import { parsedObject, stringAt } from "../../../model/json.ts";
import { MAX_UPGRADES } from "../../../model/room.ts";
import type { Ledger } from "../../../ledger/ledger.ts";
import type { Upstream } from "../../../http/upstream.ts";

/** The key of a note's room. */
const ROOM = "room_id";

export interface AliasMakersParts {
  readonly upstream: Pick<Upstream, "answer">;
  readonly ledger: Pick<Ledger, "room">;
  readonly own: UserId;
}

/**
 * Notes which tenant made an alias, in the pseudouser's account data at the homeserver. No tenant reaches it:
 * tenants' account data have types of their own (users/account-data.ts). The note is written before the alias is
 * made, so a crash in between loses no owner. It holds for one room and its replacements: a leftover note says
 * nothing about a later alias for another room.
 */
export class AliasMakers {
  readonly #parts: AliasMakersParts;

  constructor(parts: AliasMakersParts) {
    this.#parts = parts;
  }

  /**
   * Returns the tenant that made an alias which points to this room, or null.
   * @throws EmissaryError if the homeserver cannot tell now
   */
  async of(alias: RoomAlias, roomId: RoomId): Promise<string | null> {
    const { status, body } = await this.#parts.upstream.answer("GET", this.#path(alias), null);
    if (status === 404) return null;
    if (status !== 200) {
      throw new EmissaryError("homeserver-error", `Whose the alias ${alias} is cannot be told now; try again.`);
    }
    const note = parsedObject(body);
    const madeFor = stringAt(note, ROOM);
    return madeFor === null || (await this.#follows(roomId, madeFor)) ? stringAt(note, ON_BEHALF_OF) : null;
  }

  /**
   * Called before a tenant makes an alias.
   * @throws EmissaryError if it cannot be written; then the alias must not be made
   */
  async note(alias: RoomAlias, tenant: TenantId, roomId: RoomId): Promise<void> {
    const { status } = await this.#put(alias, { [ON_BEHALF_OF]: tenant, [ROOM]: roomId });
    if (status === 200) return;
    throw new EmissaryError("homeserver-error", `Whose the alias ${alias} is cannot be kept now; try again.`);
  }

  /** Called if the alias was not made, or is removed. Best effort: a note without its alias has no effect. */
  async forget(alias: RoomAlias): Promise<void> {
    try {
      await this.#put(alias, {});
    } catch (error) {
      if (!(error instanceof EmissaryError)) throw error;
    }
  }

  /** Whether a room is `madeFor` or replaces it: on upgrades a homeserver moves aliases. */
  async #follows(roomId: RoomId, madeFor: string): Promise<boolean> {
    let room: string | null = roomId;
    for (let steps = 0; steps <= MAX_UPGRADES && room !== null && isRoomId(room); steps += 1) {
      if (room === madeFor) return true;
      room = (await this.#parts.ledger.room(room))?.predecessor ?? null;
    }
    return false;
  }

  #put(alias: RoomAlias, note: Readonly<Record<string, string>>): ReturnType<Upstream["answer"]> {
    return this.#parts.upstream.answer("PUT", this.#path(alias), Buffer.from(JSON.stringify(note)));
  }

  #path(alias: RoomAlias): string {
    const type = `org.matrix.msc1777.alias:${alias}`;
    return `/_matrix/client/v3/user/${encodeURIComponent(this.#parts.own)}/account_data/${encodeURIComponent(type)}`;
  }
}
