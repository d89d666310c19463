/** Bytes, sigil and server name included (specification, appendices, "User Identifiers"). */
const LONGEST = 255;

/**
 * Whether a value is a user ID. What may lawfully come from other servers is wider than what may be newly made (appendices,
 * "Historical User IDs"), so localparts of any characters pass, and so does the empty one.
 */
export function isUserId(value: unknown): value is string {
  if (typeof value !== "string" || value.length > LONGEST || !value.startsWith("@")) return false;
  const colon = value.indexOf(":");
  if (colon === -1 || colon === value.length - 1) return false;
  return value.length * 3 <= LONGEST || new TextEncoder().encode(value).length <= LONGEST;
}

/** Whether a value is a server's pseudouser: a user ID with an empty localpart. */
export function isPseudouserId(value: unknown): value is string {
  return isUserId(value) && value.startsWith("@:");
}

/** The server of a user ID: all that follows the first colon, since a localpart has none. Compared byte for byte. */
export function serverNameOf(userId: string): string {
  return userId.slice(userId.indexOf(":") + 1);
}
