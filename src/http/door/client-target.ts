import { decoded } from "../target.ts";

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
