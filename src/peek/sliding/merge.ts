import { eachMember, endOfValue, isObjectAt, stringAt } from "../../masking/json-bytes.ts";
import { isRoomId, type RoomId } from "../../model/ids.ts";
import type { JsonObject } from "../../model/json.ts";
import { insertion, isTextAt, member, membersAt, readObject, spliced, type Members } from "../msc2753/merge.ts";

/** What must be known of the homeserver's answer to sliding sync to add to it. */
export interface SlidingOutline {
  readonly pos: string;
  readonly rooms: ReadonlySet<RoomId>;
  readonly at: {
    readonly pos: readonly [from: number, to: number];
    readonly top: Members;
    readonly rooms: Members | null;
  };
}

/** Returns null if the body is no answer to sliding sync. */
export function slidingOutlineOf(body: Uint8Array): SlidingOutline | null {
  return readObject(body, outlined);
}

function outlined(body: Uint8Array, start: number): SlidingOutline | null {
  const found: { pos: readonly [number, number] | null; rooms: Members | null } = { pos: null, rooms: null };
  const told = new Set<RoomId>();
  eachMember(body, start, (key, value) => {
    const name = stringAt(body, key);
    if (name === "pos" && isTextAt(body, value)) found.pos = [value, endOfValue(body, value)];
    if (name !== "rooms" || !isObjectAt(body, value)) return endOfValue(body, value);
    found.rooms = membersAt(body, value);
    return eachMember(body, value, (room, inner) => {
      const roomId = stringAt(body, room);
      if (isRoomId(roomId)) told.add(roomId);
      return endOfValue(body, inner);
    });
  });
  const { pos, rooms } = found;
  if (pos === null) return null;
  return { pos: stringAt(body, pos[0]), rooms: told, at: { pos, top: membersAt(body, start), rooms } };
}

/** Adds rooms to the answer and replaces the homeserver's position. */
export function mergedSliding(
  body: Buffer,
  { at }: SlidingOutline,
  { next, rooms }: { readonly next: string; readonly rooms: ReadonlyMap<RoomId, JsonObject> },
): Buffer {
  const [from, to] = at.pos;
  const pieces = [{ from, to, text: JSON.stringify(next) }];
  const more = [...rooms].map(([roomId, room]) => member(roomId, room));
  if (more.length > 0) {
    pieces.push(at.rooms === null ? insertion(at.top, [`"rooms":{${more.join()}}`]) : insertion(at.rooms, more));
  }
  return spliced(body, pieces);
}
