import type { RoomId, UserId } from "../../model/ids.ts";

/** Whose a token is, as the homeserver says. */
export interface Identity {
  readonly userId: UserId;
  /** Null where the homeserver names none, as for appservices' users. */
  readonly deviceId: string | null;
  readonly isGuest?: boolean;
}

export interface TokenOwners {
  /** Null where the homeserver does not know the token. @throws EmissaryError where it cannot be asked. */
  ownerOf(token: string): Promise<Identity | null>;
  /** Whether the homeserver lets the token's owner see the room at all. @throws EmissaryError likewise */
  sees(token: string, roomId: RoomId): Promise<boolean>;
}

export interface History {
  /** Has the homeserver fetch what was said before the pseudouser came (spec, server-server API, "Backfilling"). Best effort: never rejects. */
  fetch(roomId: RoomId): Promise<void>;
}
