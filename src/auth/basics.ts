export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns a key's own value. Inherited properties, such as `constructor`, are no part of the JSON. */
export function own(fields: Fields, key: string, otherwise?: unknown): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : otherwise;
}

/** Whether a value is a user ID by these rules. They check no more, so that all servers select the same state. */
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

/** The authorization rules' decision on an event. */
export interface AuthVerdict {
  readonly allowed: boolean;
  /** The rule that decided, as numbered in the spec's version 12 and in docs/room-version.md. */
  readonly rule: string;
  /** One sentence for people, without user IDs. */
  readonly reason: string;
}

export const allow = (rule: string, reason: string): AuthVerdict => ({ allowed: true, rule, reason });
export const reject = (rule: string, reason: string): AuthVerdict => ({ allowed: false, rule, reason });

/** Quotes a value that somebody else chose. It may be long, or no text at all. */
export function named(value: unknown): string {
  if (typeof value !== "string") return "no string";
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}
