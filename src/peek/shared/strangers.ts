import type { Ledger } from "../../ledger/ledger.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import { isReadable, opennessOf } from "../../policy/openness.ts";
import type { KnownUsers } from "../users.ts";
import { tokenHash } from "../../model/token-hash.ts";

const KEPT = 10_000;

export interface StrangersParts {
  readonly reader: UserId;
  readonly ledger: Pick<Ledger, "room" | "member">;
  readonly users: KnownUsers;
}

/**
 * Strangers to a room: users who never had a membership in it. They are shown what the reader is shown. Anybody who
 * joined, left, was invited, knocked or was banned has a membership, and the homeserver decides what they see. If the
 * ledger wrongly takes a user for a stranger, the user sees less than they could, never more.
 */
export class Strangers {
  readonly #parts: StrangersParts;
  /** Owners by token hash, which never change. Each answer asks the homeserver anew whether the token is valid. */
  readonly #owners = new Map<string, UserId>();

  constructor(parts: StrangersParts) {
    this.#parts = parts;
  }

  /** Returns the owner if a stranger to the room; else null. @throws EmissaryError if the homeserver fails */
  async of(token: string, roomId: RoomId): Promise<UserId | null> {
    const { ledger, reader } = this.#parts;
    const room = await ledger.room(roomId);
    if (room?.ownMembership !== "join" || room.load !== "loaded" || !isReadable(opennessOf(room))) return null;
    if ((await ledger.member(roomId, reader)) !== null) return null;
    const userId = await this.#ownerOf(token);
    return userId === null || (await ledger.member(roomId, userId)) !== null ? null : userId;
  }

  async #ownerOf(token: string): Promise<UserId | null> {
    const key = tokenHash(token);
    const known = this.#owners.get(key);
    if (known !== undefined) return known;
    const identity = await this.#parts.users.identify(token);
    if (identity === null || identity.isGuest === true) return null;
    remember(this.#owners, key, identity.userId, KEPT);
    return identity.userId;
  }
}
