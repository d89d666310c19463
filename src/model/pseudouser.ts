import { localpartOf, type ServerName, type UserId } from "./ids.ts";

/** Our own pseudouser. The localpart is empty unless the homeserver refuses that (pseudouser.localpart). */
export function pseudouserOf(server: ServerName, localpart: string): UserId {
  return `@${localpart}:${server}` as UserId;
}

/**
 * Tells whether a user is a server's pseudouser: the empty localpart of MSC1777 on any server, or our own under the name that
 * it has to bear here. Another server's fallback name cannot be told from a person's.
 */
export function isPseudouser(userId: UserId, own: UserId): boolean {
  return userId === own || localpartOf(userId) === "";
}
