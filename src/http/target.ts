/** Targets of plain characters only, which need no further check. */
const PLAIN = /^(?:\/[A-Za-z0-9_!$@:=~-][A-Za-z0-9_!$@:.=~-]*)+\/?(?:\?[\x21\x22\x24-\x7e]*)?$/;

/**
 * Returns what is wrong with a request's target, without a full stop; null if nothing is. Full URLs, dots and double
 * slashes mean another path to the homeserver or a proxy than to us. Encoded slashes are common in event IDs.
 * @param isPassedOn the target may go on to the homeserver: its decoded segments count, too
 */
export function faultInTarget(target: string, isPassedOn: boolean): string | null {
  if (PLAIN.test(target)) return null;
  if (!target.startsWith("/")) return "its target must be a path, which begins with a slash";
  const [path = ""] = target.split("?", 1);
  if (/[^\x21-\x7e]|#/.test(target) || path.includes("\\"))
    return "its target has characters that must be percent-encoded";
  const segments = path.slice(1).split("/");
  for (const [at, segment] of segments.entries()) {
    const isLast = at === segments.length - 1;
    if (segment === "" && !isLast) return "its path has two slashes in a row";
    const text = decoded(segment);
    if (text === null) return "its path is not percent-encoded UTF-8";
    if (text === "." || text === "..") return "its path has dots for a folder";
    if (!isPassedOn) continue;
    if (text.includes("\0")) return "its path has a NUL in it";
    if (text.split(/[/\\]/).includes("..")) return "its path has dots for a folder";
  }
  return null;
}

/** Decodes a path or a segment; null if its encoding is broken. */
export function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

/** Beginnings of the homeserver's paths that are for its users (spec, client-server API; Synapse, "Reverse proxy"). */
const FOR_CLIENTS: readonly RegExp[] = [
  /^\/_matrix\/client\//,
  /^\/_matrix\/media\//,
  // Pages that log-in and registration send browsers to.
  /^\/_matrix\/static\//,
  /^\/_matrix\/consent$/,
  /^\/_synapse\/client\//,
  /^\/\.well-known\/matrix\/(?:client|support)$/,
];

/** Also finds dot segments between what some programs take for a slash, and before path parameters. */
const DOT_SEGMENT = /(?:^|[/\\])\.{1,2}(?:[/\\;]|$)/;

/** Times that a path is decoded: a proxy behind us may decode it once more than the homeserver does. */
const MOST_DECODINGS = 4;

/**
 * Returns whether clients may request this target, however it is decoded and normalised later. Refuses encoded first
 * letters, hosts, dot segments, and all that is not for clients: administration, federation, keys, metrics.
 */
export function isClientTarget(target: string): boolean {
  const [path = ""] = target.split(/[?#]/, 1);
  if (!FOR_CLIENTS.some((beginning) => beginning.test(path))) return false;
  // Programs read broken encoding differently.
  if (decoded(path) === null) return false;
  let seen = path;
  for (let times = 0; times <= MOST_DECODINGS; times += 1) {
    if (DOT_SEGMENT.test(seen)) return false;
    // Byte by byte, and invalid encodings stay: we look for ASCII only.
    const once = seen.replaceAll(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    if (once === seen) return true;
    seen = once;
  }
  return false;
}
