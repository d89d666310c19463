import type { Ledger } from "../../ledger/ledger.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { remember } from "../../concurrency/remember.ts";
import { isReadable, opennessOf } from "../../policy/openness.ts";
import type { Identity } from "../contracts.ts";
import { tokenHash } from "../../model/token-hash.ts";

const KEPT = 10_000;

export interface StrangersParts {
  readonly reader: UserId;
  readonly ledger: Pick<Ledger, "room" | "member">;
  /** Returns the token's owner according to the homeserver; null if the token is unknown. */
  readonly identify: (token: string) => Promise<Identity | null>;
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
    if (!(await this.#isTold(roomId))) return null;
    const userId = await this.#ownerOf(token);
    return userId === null || (await this.isMember(userId, roomId)) ? null : userId;
  }

  /** Whether the user has a membership of any kind. */
  async isMember(userId: UserId, roomId: RoomId): Promise<boolean> {
    return (await this.#parts.ledger.member(roomId, userId)) !== null;
  }

  /** Whether the members are known, strangers may look into the room, and the reader is a stranger. */
  async #isTold(roomId: RoomId): Promise<boolean> {
    const { ledger, reader } = this.#parts;
    const room = await ledger.room(roomId);
    if (room?.ownMembership !== "join" || room.load !== "loaded" || !isReadable(opennessOf(room))) return false;
    return !(await this.isMember(reader, roomId));
  }

  async #ownerOf(token: string): Promise<UserId | null> {
    const key = tokenHash(token);
    const known = this.#owners.get(key);
    if (known !== undefined) return known;
    const identity = await this.#parts.identify(token);
    if (identity === null || identity.isGuest === true) return null;
    remember(this.#owners, key, identity.userId, KEPT);
    return identity.userId;
  }
}
