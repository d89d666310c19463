import type { RoomId, UserId } from "../model/ids.ts";

/** Whose a token is, as the homeserver says. */
export interface Identity {
  readonly userId: UserId;
  /** Null where the homeserver names none, as for appservices' users. */
  readonly deviceId: string | null;
  readonly isGuest?: boolean;
}

export interface TokenOwners {
  /**
   * Null where the homeserver does not know the token.
   * @param as the user that an appservice's token is to stand for; a user's own stands for nobody else
   * @throws EmissaryError where it cannot be asked.
   */
  ownerOf(token: string, as?: string): Promise<Identity | null>;
  /** Whether the homeserver lets the token's owner see the room at all. @throws EmissaryError likewise */
  sees(token: string, roomId: RoomId): Promise<boolean>;
  /**
   * Whether the user, who is the token's owner or `as`, is in the room, whatever it is called: this is asked for what goes to the homeserver as
   * it came.
   * @throws EmissaryError likewise
   */
  isMember(token: string, room: string, userId: UserId, as?: string): Promise<boolean>;
  /** Whether the homeserver is in a room that it may tell the token's owner of. @throws EmissaryError likewise */
  has(token: string, roomId: RoomId): Promise<boolean>;
}

export interface History {
  /** Has the homeserver fetch what was said before the pseudouser came (spec, server-server API, "Backfilling"). Best effort: never rejects. */
  fetch(roomId: RoomId): Promise<void>;
}
