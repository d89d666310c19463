import { isRoomId, isServerName } from "../model/ids.ts";
import { mergeVia } from "../model/room.ts";
import type { ToldRoute } from "./told-routes.ts";

/** A larger answer teaches nothing. */
const MOST_BYTES = 1024 * 1024;
/** Links of one answer that are looked at, whatever they are: what others write costs no more than that. */
const MOST_LINKS = 200;
const ROUTES = "?via=";
/** What a link has before its routes, and as routes; in bytes. */
const BEFORE = 400;
const AFTER = 1_000;
/** A room by its ID, as matrix.to and `matrix:` have it, with an event of it or without (spec, "Matrix URI scheme", "matrix.to navigation"). */
const ROOM = /(matrix\.to\/#\/|matrix:roomid\/)([^\s"'<>()\\/?]{1,300})(?:\/[^\s"'<>()\\?]*)?$/;
/** Where a link ends in the JSON of a text, formatted or not. */
const END = /[\s"'<>()\\[\]]/;

/** Rooms that links in an answer point to, with the servers that these name (`via`): a client asks for the room by its ID alone. */
export function routesOfLinks(body: Buffer): readonly ToldRoute[] {
  const told: ToldRoute[] = [];
  if (body.length > MOST_BYTES) return told;
  let looked = 0;
  for (let at = body.indexOf(ROUTES); at !== -1 && looked < MOST_LINKS; at = body.indexOf(ROUTES, at + 1)) {
    looked += 1;
    const [, site, room] = ROOM.exec(body.toString("utf8", Math.max(0, at - BEFORE), at)) ?? [];
    const roomId = site === undefined || room === undefined ? null : roomIdOf(site, room);
    const [query = ""] = body.toString("utf8", at + 1, at + AFTER).split(END, 1);
    const via = query.split(/&(?:amp;)?/).flatMap((pair) => (pair.startsWith("via=") ? [decoded(pair.slice(4))] : []));
    const servers = mergeVia(
      via.filter((name) => isServerName(name)),
      [],
    );
    if (roomId !== null && isRoomId(roomId) && servers.length > 0) told.push([roomId, servers]);
  }
  return told;
}

/** In `matrix:` the sigil is left out. */
function roomIdOf(site: string, text: string): string {
  return site.startsWith("matrix:") ? `!${decoded(text)}` : decoded(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
