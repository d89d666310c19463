import type { ServerName } from "../../model/ids.ts";
import { CLIENT_EVERY } from "../client-paths.ts";
import { decoded } from "../target.ts";

/** What a request takes up, and for how long. Each kind has its own places. */
export type RequestKind = "short" | "wait" | "media";

/** Long polls, and requests that wait until the pseudouser is in a room. */
const WAITS = /\/(?:sync|events|join|initialSync)$|\/(?:join|peek|knock)\//;
const MEDIA = /^\/_matrix\/(?:media\/|client\/v1\/media\/)/;

export function kindOf(url: string): RequestKind {
  const [path = ""] = url.split("?", 1);
  if (MEDIA.test(path)) return "media";
  return WAITS.test(path) ? "wait" : "short";
}

const ALIAS = /^(?:%23|#)[^/?]+$/;

/** Returns whether a request only asks which room an alias points to. With query parameters it needs a known token. */
export function isAliasLookUp(url: string): boolean {
  return CLIENT_EVERY.some((client) => {
    const path = `${client}/directory/room/`;
    return url.startsWith(path) && ALIAS.test(url.slice(path.length));
  });
}

/** Path segments before the server of a media item. */
const MEDIA_OF: ReadonlySet<string | undefined> = new Set(["download", "thumbnail"]);
const SERVER_PARAMETERS = ["server", "via", "server_name"] as const;

/**
 * Returns the other server that a request needs by its URL: that of an alias, a user or a media item, or one that it
 * names. Null if there is none. A room ID names no server: without `via` there is nobody to ask.
 */
export function serverAsked(url: string, own: ServerName): string | null {
  const at = url.indexOf("?");
  const segments = (at === -1 ? url : url.slice(0, at)).split("/").map((text) => decoded(text) ?? text);
  const named = segments.map((segment, index) => (MEDIA_OF.has(segments[index - 1]) ? segment : serverIn(segment)));
  if (at !== -1) {
    const query = new URLSearchParams(url.slice(at + 1));
    for (const name of SERVER_PARAMETERS) named.push(...query.getAll(name));
  }
  return named.find((server) => server !== "" && server !== own) ?? null;
}

/** Need not be a valid name: how the homeserver reads it is its own affair. */
function serverIn(segment: string): string {
  const colon = segment.indexOf(":");
  return colon > 0 && /^[#@]/.test(segment) ? segment.slice(colon + 1) : "";
}
