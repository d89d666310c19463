/** What of a homeserver is for its users, as the beginning of a path (spec, client-server API; Synapse, "Reverse proxy"). */
const FOR_CLIENTS: readonly RegExp[] = [
  /^\/_matrix\/client\//,
  /^\/_matrix\/media\//,
  // Pages that log-in and registration send browsers to.
  /^\/_matrix\/static\//,
  /^\/_matrix\/consent$/,
  /^\/_synapse\/client\//,
  /^\/\.well-known\/matrix\/(?:client|support)$/,
];

/** A path is decoded so often: whoever stands between us and the homeserver may decode it once more than the homeserver does. */
const MOST_DECODINGS = 4;

/**
 * Whether a request target is one that clients have, however whoever reads it next decodes and shortens it. What begins with an encoded
 * letter, has a host before it, or leads upwards is none, and neither is all else that a homeserver has: its administration, federation,
 * keys, metrics.
 */
export function isClientTarget(target: string): boolean {
  const [path = ""] = target.split(/[?#]/, 1);
  if (!FOR_CLIENTS.some((beginning) => beginning.test(path))) return false;
  // Where the encoding is broken readers differ.
  if (!isDecodable(path)) return false;
  let seen = path;
  for (let times = 0; times <= MOST_DECODINGS; times += 1) {
    if (hasDotSegment(seen)) return false;
    const decoded = decodedOnce(seen);
    if (decoded === seen) return true;
    seen = decoded;
  }
  return false;
}

/** Also between what some readers take for a slash, and before path parameters. */
function hasDotSegment(path: string): boolean {
  return /(?:^|[/\\])\.{1,2}(?:[/\\;]|$)/.test(path);
}

/** Byte by byte, leaving what is no encoding: what is looked for is ASCII. */
function decodedOnce(path: string): string {
  return path.replaceAll(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
