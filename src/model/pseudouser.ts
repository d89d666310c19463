import type { ServerName, UserId } from "./ids.ts";

/**
 * Our own pseudouser. The localpart is empty unless the homeserver refuses that (pseudouser.localpart). Whether somebody is one at
 * all, ours or another's: `isPseudouser` in src/masking.
 */
export function pseudouserOf(server: ServerName, localpart: string): UserId {
  return `@${localpart}:${server}` as UserId;
}
