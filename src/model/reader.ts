import type { ServerName, UserId } from "./ids.ts";
import { SENDER_PREFIX } from "./tenant.ts";

/**
 * The user as whom rooms are looked into for strangers: in no room, ever. Its name is in the namespace of tenants' senders, and no
 * tenant's, since no tenant's ID begins with a full stop.
 */
export function readerOf(server: ServerName): UserId {
  return `@${SENDER_PREFIX}.reader:${server}` as UserId;
}
