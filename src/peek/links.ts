import { isRoomId, isServerName } from "../model/ids.ts";
import { mergeVia } from "../model/room.ts";
import type { ToldRoute } from "./told-routes.ts";

const MOST_BYTES = 1024 * 1024;
/** Most links examined in one answer. Bounds the cost of other people's content. */
const MOST_LINKS = 200;
const ROUTES = "?via=";
/** Longest text of a link before its routes, and longest routes, in bytes. */
const BEFORE = 400;
const AFTER = 1_000;
/** A link to a room by ID, or to its event (spec, "Matrix URI scheme", "matrix.to navigation"). */
const ROOM = /(matrix\.to\/#\/|matrix:roomid\/)([^\s"'<>()\\/?]{1,300})(?:\/[^\s"'<>()\\?]*)?$/;
/** Ends a link in the JSON of a plain or formatted text. */
const END = /[\s"'<>()\\[\]]/;

/** Returns the rooms that links point to, with their servers (`via`): a client then asks by ID alone. */
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

/** `matrix:` links omit the sigil. */
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
