/**
 * Whether a value is a user ID, as these rules see one: it begins with `@` and has a colon. They look no closer, so that all servers
 * agree on what selects state. What such an ID may be made of is decided where events come in, not here, and differs between servers.
 */
export function isUserId(value: unknown): value is string {
  return typeof value === "string" && value.startsWith("@") && value.includes(":");
}

/** Whether a value is a server's pseudouser: a user ID with an empty localpart. */
export function isPseudouserId(value: unknown): value is string {
  return isUserId(value) && value.startsWith("@:");
}

/** The server of a user ID: all that follows the first colon, since a localpart has none. Compared byte for byte. */
export function serverNameOf(userId: string): string {
  return userId.slice(userId.indexOf(":") + 1);
}
