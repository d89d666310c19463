import type { ServerName, UserId } from "./ids.ts";
import { SENDER_PREFIX } from "./tenant.ts";

/**
 * Returns the user that reads rooms for strangers and is never in a room. It is in the namespace of tenants' senders,
 * but no tenant's ID begins with a full stop.
 */
export function readerOf(server: ServerName): UserId {
  return `@${SENDER_PREFIX}.reader:${server}` as UserId;
}
