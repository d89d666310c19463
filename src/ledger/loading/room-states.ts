import type { StateEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";

/** Streams a room's whole current state in parts, so that a room of any size needs bounded memory only. */
export interface RoomStates {
  /** @throws EmissaryError if the homeserver does not return it. */
  stream(roomId: RoomId, abort: AbortSignal): AsyncIterable<readonly StateEvent[]>;
}
