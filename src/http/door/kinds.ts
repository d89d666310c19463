import type { ServerName } from "../../model/ids.ts";

/** What a request takes up, and for how long: places of one kind are not used up by requests of another. */
export const REQUEST_KINDS = ["short", "wait", "media"] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** Long polls, and what waits until the pseudouser is in a room. */
const WAITS = /\/(?:sync|events|join|initialSync)$|\/(?:join|peek|knock)\//;
const MEDIA = /^\/_matrix\/(?:media\/|client\/v1\/media\/)/;

export function kindOf(url: string): RequestKind {
  const [path = ""] = url.split("?", 1);
  if (MEDIA.test(path)) return "media";
  return WAITS.test(path) ? "wait" : "short";
}

const ALIAS_LOOK_UP = /^\/_matrix\/client\/(?:v3|r0|unstable|api\/v1)\/directory\/room\/(?:%23|#)[^/?]+$/;

/** Whether it asks for nothing but which room an alias is of. One with parameters is for nobody but those whose token is known. */
export function isAliasLookUp(url: string): boolean {
  return ALIAS_LOOK_UP.test(url);
}

/** What media's server stands after. */
const MEDIA_OF: ReadonlySet<string | undefined> = new Set(["download", "thumbnail"]);
const SERVER_PARAMETERS = ["server", "via", "server_name"] as const;

/**
 * The other server that a request has the homeserver ask, as far as its address tells: by an alias, a user, media, or a server that it
 * names. Null where it names none. A room's ID is no name of a server: without `via` there is nobody to ask for it.
 */
export function serverAsked(url: string, own: ServerName): string | null {
  const at = url.indexOf("?");
  const segments = (at === -1 ? url : url.slice(0, at)).split("/").map(decoded);
  const named = segments.map((segment, index) => (MEDIA_OF.has(segments[index - 1]) ? segment : serverIn(segment)));
  if (at !== -1) {
    const query = new URLSearchParams(url.slice(at + 1));
    for (const name of SERVER_PARAMETERS) named.push(...query.getAll(name));
  }
  return named.find((server) => server !== "" && server !== own) ?? null;
}

/** Whether or not it is a name by the grammar: what a homeserver makes of it is its own affair. */
function serverIn(segment: string): string {
  const colon = segment.indexOf(":");
  return colon > 0 && /^[#@]/.test(segment) ? segment.slice(colon + 1) : "";
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
