/** Questions to the homeserver, asked as the pseudouser. */
import { roomPath } from "../../http/client-paths.ts";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomEvent, type RoomEvent } from "../../model/event.ts";
import type { RoomId } from "../../model/ids.ts";
import { parsedObject, type JsonObject } from "../../model/json.ts";
import type { Upstream } from "../../http/upstream.ts";

type Asked = Pick<Upstream, "answer">;

/**
 * Returns the object at a path, or null if there is none.
 * @param what follows “Emissary cannot determine”
 * @throws EmissaryError `homeserver-error` if the homeserver answers neither way
 */
export async function objectFrom(upstream: Asked, path: string, what: string): Promise<JsonObject | null> {
  const { status, body } = await upstream.answer("GET", path, null);
  if (status === 404) return null;
  if (status !== 200) throw undetermined(what);
  return parsedObject(body);
}

export function undetermined(what: string): EmissaryError {
  return new EmissaryError(
    "homeserver-error",
    `Emissary cannot determine ${what}: the homeserver does not say. Try again.`,
  );
}

/** Returns a state event from the homeserver, or null. Homeservers without `format` are asked for the whole state. */
export async function stateEvent(
  upstream: Asked,
  roomId: RoomId,
  type: string,
  stateKey: string,
): Promise<RoomEvent | null> {
  const one = await upstream.answer("GET", `${roomPath(roomId, "state", type, stateKey)}?format=event`, null);
  const event: unknown = parsedObject(one.body);
  if (one.status === 200 && isRoomEvent(event)) return event;
  const events = eventsIn((await upstream.answer("GET", roomPath(roomId, "state"), null)).body);
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
