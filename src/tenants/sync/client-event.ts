import type { RoomEvent } from "../../model/event.ts";
import { without, type JsonObject, type JsonValue } from "../../model/json.ts";

/** Keys that homeservers send to appservices both here and in `unsigned`; and the room, which the answer names. */
const NOT_SHOWN = [
  "room_id",
  "user_id",
  "age",
  "prev_content",
  "replaces_state",
  "redacted_because",
  "invite_room_state",
];

/**
 * Returns an event as `/sync` shows it (spec, CS API, "ClientEventWithoutRoomID").
 * @param txnId the tenant's transaction ID with which it was sent; null if unknown
 */
export function clientEvent(event: RoomEvent, txnId: string | null, now: number): JsonObject {
  const { unsigned = {}, ...rest } = event;
  const shown = without({ ...rest }, ...NOT_SHOWN);
  const age = typeof unsigned["age"] === "number" ? { age: Math.max(0, now - event.origin_server_ts) } : {};
  return { ...shown, unsigned: { ...unsigned, ...age, ...(txnId === null ? {} : { transaction_id: txnId }) } };
}

/** Returns an invite's stripped state, with the invite itself last (spec, CS API, "Stripped state"). */
export function inviteState({ type, state_key: key = "", sender, content, unsigned }: RoomEvent): JsonValue[] {
  const told = unsigned?.["invite_room_state"];
  return [...(Array.isArray(told) ? told : []), { type, state_key: key, sender, content }];
}
