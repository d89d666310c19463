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
  /** Whose a token is, as the homeserver says; null for nobody's. */
  readonly identify: (token: string) => Promise<Identity | null>;
}

/**
 * Who is shown what the reader is shown: whoever has no membership in the room, and never had one. All that were in it, left, are
 * invited, knocked or are banned have one in its state, and it is for the homeserver to say what they see. Where the ledger does not know
 * better than to take somebody for a stranger, they are shown less than they could see, and never more.
 */
export class Strangers {
  readonly #parts: StrangersParts;
  /** Whose a token is does not change. Whether it still counts is asked of the homeserver each time that something is told. */
  readonly #owners = new Map<string, UserId>();

  constructor(parts: StrangersParts) {
    this.#parts = parts;
  }

  /** The token's owner where that is a stranger to the room; else null. @throws EmissaryError where the homeserver cannot be asked */
  async of(token: string, roomId: RoomId): Promise<UserId | null> {
    if (!(await this.#isTold(roomId))) return null;
    const userId = await this.#ownerOf(token);
    return userId === null || (await this.isMember(userId, roomId)) ? null : userId;
  }

  /** Whether the user has a membership in the room, of whatever kind. */
  async isMember(userId: UserId, roomId: RoomId): Promise<boolean> {
    return (await this.#parts.ledger.member(roomId, userId)) !== null;
  }

  /** Whether the room's members are known, strangers may look into it, and the reader is one. */
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
