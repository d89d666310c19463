import type { ServerName, UserId } from "./ids.ts";

/**
 * Returns our own pseudouser. The localpart is empty unless the homeserver refuses that (pseudouser.localpart).
 * `isPseudouser` in src/masking recognises pseudousers of any server.
 */
export function pseudouserOf(server: ServerName, localpart: string): UserId {
  return `@${localpart}:${server}` as UserId;
}
