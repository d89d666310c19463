import type { ServerName, UserId } from "./ids.ts";

/**
 * Returns our pseudouser. The localpart is empty unless the homeserver refuses that (pseudouser.localpart). See also
 * `isPseudouser` in src/masking, which recognises any server's.
 */
export function pseudouserOf(server: ServerName, localpart: string): UserId {
  return `@${localpart}:${server}` as UserId;
}
