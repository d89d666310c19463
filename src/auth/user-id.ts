/**
 * Whether a value is a user ID by these rules: it begins with `@` and has a colon. They check no more, so that all
 * servers select the same state. Stricter checks belong where events come in, and differ between servers.
 */
export function isUserId(value: unknown): value is string {
  return typeof value === "string" && value.startsWith("@") && value.includes(":");
}

/** Whether a value is a server's pseudouser: a user ID with an empty localpart. */
export function isPseudouserId(value: unknown): value is string {
  return isUserId(value) && value.startsWith("@:");
}

/** Returns a user ID's server: all after the first colon, since a localpart has none. Compare it byte for byte. */
export function serverNameOf(userId: string): string {
  return userId.slice(userId.indexOf(":") + 1);
}
