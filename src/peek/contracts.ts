import type { RoomId, UserId } from "../model/ids.ts";

/** A token's owner, according to the homeserver. */
export interface Identity {
  readonly userId: UserId;
  /** Null if the homeserver names none, as for appservices' users. */
  readonly deviceId: string | null;
  readonly isGuest?: boolean;
}

export interface TokenOwners {
  /**
   * Returns the token's owner; null if the homeserver does not know the token.
   * @param as the user for whom an appservice's token stands; a user's own stands for nobody else
   * @throws EmissaryError if the homeserver cannot be asked
   */
  ownerOf(token: string, as?: string): Promise<Identity | null>;
  /** Whether the homeserver lets the token's owner see the room at all. @throws EmissaryError likewise */
  sees(token: string, roomId: RoomId): Promise<boolean>;
  /** Whether the user (the token's owner, or `as`) is in the room; takes any text. @throws EmissaryError likewise */
  isMember(token: string, room: string, userId: UserId, as?: string): Promise<boolean>;
  /** Whether the homeserver is in the room and may say so to the token's owner. @throws EmissaryError likewise */
  has(token: string, roomId: RoomId): Promise<boolean>;
}

export interface History {
  /** Makes the homeserver backfill (spec, server-server API, "Backfilling"). Returns whether it has; never rejects. */
  fetch(roomId: RoomId): Promise<boolean>;
}
