import type { RoomEvent } from "../../model/event.ts";
import { without, type JsonObject, type JsonValue } from "../../model/json.ts";

/** What homeservers have twice in what they send to appservices, there and in `unsigned`; and the room, which the answer names. */
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
 * An event as `/sync` shows it (spec, CS API, "ClientEventWithoutRoomID").
 * @param txnId the tenant's own transaction ID that it was sent with; null for none that is known
 */
export function clientEvent(event: RoomEvent, txnId: string | null, now: number): JsonObject {
  const { unsigned = {}, ...rest } = event;
  const shown = without({ ...rest }, ...NOT_SHOWN);
  const age = typeof unsigned["age"] === "number" ? { age: Math.max(0, now - event.origin_server_ts) } : {};
  return { ...shown, unsigned: { ...unsigned, ...age, ...(txnId === null ? {} : { transaction_id: txnId }) } };
}

/** What an invite tells of its room, with the invite itself at the end (spec, CS API, "Stripped state"). */
export function inviteState({ type, state_key: key = "", sender, content, unsigned }: RoomEvent): JsonValue[] {
  const told = unsigned?.["invite_room_state"];
  return [...(Array.isArray(told) ? told : []), { type, state_key: key, sender, content }];
}
