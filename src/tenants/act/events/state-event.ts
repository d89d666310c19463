import { isRoomEvent, type RoomEvent } from "../../../model/event.ts";
import type { RoomId } from "../../../model/ids.ts";
import { parsedObject } from "../../../model/json.ts";
import type { Upstream } from "../../../http/upstream.ts";

/** Returns a state event from the homeserver, or null. Homeservers without `format` are asked for the whole state. */
export async function stateEvent(
  upstream: Upstream,
  roomId: RoomId,
  type: string,
  stateKey: string,
): Promise<RoomEvent | null> {
  const state = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state`;
  const one = await upstream.answer(
    "GET",
    `${state}/${encodeURIComponent(type)}/${encodeURIComponent(stateKey)}?format=event`,
    null,
  );
  const event: unknown = parsedObject(one.body);
  if (one.status === 200 && isRoomEvent(event)) return event;
  const events = eventsIn((await upstream.answer("GET", state, null)).body);
  return events.find((each) => each.type === type && each.state_key === stateKey) ?? null;
}

function eventsIn(body: Buffer): readonly RoomEvent[] {
  try {
    const all: unknown = JSON.parse(body.toString("utf8"));
    return Array.isArray(all) ? all.filter((each) => isRoomEvent(each)) : [];
  } catch {
    return [];
  }
}
