import type { JsonValue } from "./json.ts";

export const VERDICT_CODES = [
  "allowed",
  "room-cap",
  "member-cap",
  "join-rule",
  "not-visible",
  "not-allowed",
  "not-peekable",
] as const;
export type VerdictCode = (typeof VERDICT_CODES)[number];

/** Policy's answer, with what it was reached by. */
export interface Verdict {
  readonly allowed: boolean;
  readonly code: VerdictCode;
  /** One sentence for people. */
  readonly reason: string;
  /** The facts that were weighed, by name. */
  readonly inputs: Readonly<Record<string, JsonValue>>;
}
