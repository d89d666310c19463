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

export interface Verdict {
  readonly allowed: boolean;
  readonly code: VerdictCode;
  /** One sentence for people. */
  readonly reason: string;
  /** Milliseconds after which the answer may change; null if time alone changes nothing. */
  readonly retryAfter: number | null;
  /** The facts that were considered, by name. */
  readonly inputs: Readonly<Record<string, JsonValue>>;
}

/** The finding of one rule, to explain a verdict. */
export interface RuleFinding {
  readonly code: Exclude<VerdictCode, "allowed">;
  /** `spared`: the rule would refuse, but an exception stands above it. */
  readonly verdict: "passes" | "spared" | "refuses";
  /** For `passes`: what the rule examined; else why it refuses. */
  readonly reason: string;
  readonly inputs: Readonly<Record<string, JsonValue>>;
}
