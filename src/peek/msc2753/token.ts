import { deflateRawSync, inflateRawSync } from "node:zlib";
import { EmissaryError } from "../../model/errors.ts";
import { isRoomId, type RoomId } from "../../model/ids.ts";
import { isJsonObject, type JsonValue } from "../../model/json.ts";
import type { Openings } from "../../ledger/openings.ts";
import type { PeekStore } from "../store.ts";
import type { RoomNews } from "./news.ts";

/** How far a device has read in a peeked room. */
export interface Place {
  /** The peek's `change` when it was last sent. */
  readonly change: number;
  /** The journal's newest event when the room was read. */
  readonly seq: number;
  /** The homeserver's position, for `/events`. */
  readonly from: string;
  /** The forward extremities there (holes.ts); empty if unknown. */
  readonly heads: readonly string[];
}

/** Beyond any journal: a place with this `seq` is not continued, and its room is sent anew. */
const NOWHERE = Number.MAX_SAFE_INTEGER;

export type Places = ReadonlyMap<RoomId, Place>;

/** A `since` token of ours: the homeserver's own, and the places. Self-contained, so it survives a restart. */
export interface SyncPosition {
  readonly since: string;
  /** The database opening that issued it. After a restore, the same numbers may mean other events. */
  readonly opening: string;
  readonly places: Places;
  /** Further data of a kind of sync. */
  readonly more?: JsonValue;
}

/** Tokens are in URLs, which proxies limit to 8 KiB. This many places fit with room to spare. */
export const MAX_PLACES = 50;
const PREFIX = "peek1.";
const MAX_TOKEN = 16 * 1024;
const MAX_JSON = 64 * 1024;
/** One or two places are not worth compressing. Base64 has no full stop, so it marks plain text. */
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

/** @throws EmissaryError `bad-parameter` if the token is not ours */
export function positionOf(token: string): SyncPosition {
  const position = isOurToken(token) && token.length <= MAX_TOKEN ? parsed(token.slice(PREFIX.length)) : null;
  if (position !== null) return position;
  throw new EmissaryError("bad-parameter", "This server did not issue this sync token: sync without one.");
}

/** Returns the places to continue from. One from a lost time becomes NOWHERE: its room is sent anew. */
export async function knownPlaces(
  { opening, places }: SyncPosition,
  { openings, news, store }: { readonly openings: Openings; readonly news: RoomNews; readonly store: PeekStore },
): Promise<Places> {
  const held = { seq: await news.read(), change: await store.newest() };
  const known = [...places].map(([roomId, place]) => {
    const isHeld = openings.has({ opening, seq: place.seq, change: place.change }, held);
    return [roomId, isHeld ? place : { ...place, seq: NOWHERE }] as const;
  });
  return new Map(known);
}

/** Parameters in which clients may send a token from `/sync`. */
const PLACES = ["at", "from", "to"] as const;

/** Returns the path and query with the homeserver's own tokens. @throws EmissaryError `bad-parameter` if invalid */
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
