import type { JsonValue } from "./json.ts";

export const VERDICT_CODES = [
  "allowed",
  "denied",
  "not-allowed",
  "listed",
  "server-acl",
  "room-version",
  "flooded",
  "too-complex",
  "put-out",
  "upgrade-chain",
  "no-predecessor",
  "room-cap",
  "room-share",
  "busy-share",
  "busy",
  "not-visible",
  "not-peekable",
  "member-cap",
  "join-rule",
  "budget-room",
  "budget-user",
  "budget-tenant",
  "budget-server",
  "budget-invites",
  "budget-all",
] as const;
export type VerdictCode = (typeof VERDICT_CODES)[number];

export function isVerdictCode(code: string): code is VerdictCode {
  return (VERDICT_CODES as readonly string[]).includes(code);
}

/** Policy's answer, with what it was reached by. */
export interface Verdict {
  readonly allowed: boolean;
  readonly code: VerdictCode;
  /** One sentence for people. */
  readonly reason: string;
  /** Milliseconds after which the same question may have another answer; null where time alone changes nothing. */
  readonly retryAfter: number | null;
  /** The facts that were weighed, by name. */
  readonly inputs: Readonly<Record<string, JsonValue>>;
}

/** What one rule says, for whoever wants to know why. */
export interface RuleFinding {
  readonly code: Exclude<VerdictCode, "allowed">;
  /** `spared`: the rule would refuse, and somebody's word stands above it. */
  readonly verdict: "passes" | "spared" | "refuses";
  /** For `passes`: what it looked at; else what it has against it. */
  readonly reason: string;
  readonly inputs: Readonly<Record<string, JsonValue>>;
}
