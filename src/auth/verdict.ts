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
