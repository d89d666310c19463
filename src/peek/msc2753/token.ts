import { deflateRawSync, inflateRawSync } from "node:zlib";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomId, type RoomId } from "../../model/ids.ts";
import { isJsonObject, type JsonValue } from "../../model/json.ts";

/** How far a device has come in one peeked room. */
export interface Place {
  /** The peek that it was told of. */
  readonly change: number;
  /** What the journal held when the room was looked at. */
  readonly seq: number;
  /** The homeserver's position, for `/events`. */
  readonly from: string;
  /** The events that no other hung on there (holes.ts); none where that is not known. */
  readonly heads: readonly string[];
}

/** Beyond whatever a journal holds: a place with this `seq` is not gone on from, and its room is told anew. */
export const NOWHERE = Number.MAX_SAFE_INTEGER;

export type Places = ReadonlyMap<RoomId, Place>;

/** A `since` of ours: the homeserver's own, and the places in the peeked rooms. All of it is in the token, so it outlives us. */
export interface SyncPosition {
  readonly since: string;
  /** The opening of the database in which it was given out: of numbers after a restore it is not known whose they are. */
  readonly opening: string;
  readonly places: Places;
  /** What else a kind of sync keeps there. */
  readonly more?: JsonValue;
}

/** A token stands in a URL, and proxies take 8 KiB of that. So many places fit with room to spare. */
export const MAX_PLACES = 50;
const PREFIX = "peek1.";
const MAX_TOKEN = 16 * 1024;
const MAX_JSON = 64 * 1024;
/** A place or two are not worth compressing. Base64 has no full stop, which stands before what is plain. */
const PLAIN = ".";
const MAX_PLAIN = 1024;

export function isOurToken(since: string): boolean {
  return since.startsWith(PREFIX);
}

export function tokenOf({ since, opening, places, more }: SyncPosition): string {
  const rooms = [...places].map(([roomId, { change, seq, from, heads }]) => [roomId, change, seq, from, heads]);
  const json = Buffer.from(JSON.stringify({ since, opening, rooms, more }));
  if (json.length <= MAX_PLAIN) return `${PREFIX}${PLAIN}${json.toString("base64url")}`;
  return `${PREFIX}${deflateRawSync(json).toString("base64url")}`;
}

/** @throws EmissaryError `bad-parameter` for a token that is none of ours. */
export function positionOf(token: string): SyncPosition {
  const position = isOurToken(token) && token.length <= MAX_TOKEN ? parsed(token.slice(PREFIX.length)) : null;
  if (position !== null) return position;
  throw new EmissaryError("bad-parameter", "The sync token is none that was given out here: sync without one.");
}

/** Where a client says since when, or until when: with a token that it had from `/sync`, too. */
const PLACES = ["at", "from", "to"] as const;

/**
 * A request's path and query as the homeserver is asked, which knows its own tokens only.
 * @throws EmissaryError `bad-parameter` for a token of ours that is none
 */
export function withoutOurTokens(target: string): string {
  if (!target.includes(`=${PREFIX}`)) return target;
  const at = target.indexOf("?");
  const query = new URLSearchParams(target.slice(at + 1));
  for (const name of PLACES) {
    const token = query.get(name);
    if (token !== null && isOurToken(token)) query.set(name, positionOf(token).since);
  }
  return `${target.slice(0, at)}?${query.toString()}`;
}

function parsed(text: string): SyncPosition | null {
  try {
    const isPlain = text.startsWith(PLAIN);
    const bytes = Buffer.from(text.slice(isPlain ? PLAIN.length : 0), "base64url");
    const json = isPlain ? bytes : inflateRawSync(bytes, { maxOutputLength: MAX_JSON });
    const value: unknown = JSON.parse(json.toString("utf8"));
    if (!isJsonObject(value)) return null;
    const { since, opening, rooms, more } = value;
    if (typeof since !== "string" || typeof opening !== "string") return null;
    if (!Array.isArray(rooms) || rooms.length > MAX_PLACES) return null;
    const places = new Map<RoomId, Place>();
    for (const room of rooms) {
      if (!Array.isArray(room)) return null;
      const [roomId, change, seq, from, heads] = room;
      if (typeof roomId !== "string" || !isRoomId(roomId) || typeof from !== "string") return null;
      if (!Number.isSafeInteger(change) || !Number.isSafeInteger(seq)) return null;
      if (!Array.isArray(heads) || !heads.every((head) => typeof head === "string")) return null;
      places.set(roomId, { change: change as number, seq: seq as number, from, heads });
    }
    return { since, opening, places, ...(more === undefined ? {} : { more }) };
  } catch {
    return null;
  }
}
