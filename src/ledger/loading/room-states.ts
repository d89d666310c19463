import type { StateEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";

/** A room's whole current state, in pieces, so that a room of any size passes through bounded memory. */
export interface RoomStates {
  /** @throws EmissaryError where the homeserver does not give it. */
  stream(roomId: RoomId, abort: AbortSignal): AsyncIterable<readonly StateEvent[]>;
}
