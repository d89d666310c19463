import type { JsonValue } from "../model/json.ts";
import type { RuleFinding, Verdict } from "../model/verdict.ts";
import { CHECKS } from "./checks.ts";
import type { Question } from "./question.ts";

/** Judges whether a holder may have the pseudouser in a room. Pure. */
export function judge(question: Question): Verdict {
  const all = CHECKS.flatMap(({ inputs }) => Object.entries(inputs(question)));
  const inputs: Record<string, JsonValue> = { holder: question.kind, ...Object.fromEntries(all) };
  for (const { code, refusal, spares, retryAfter } of CHECKS) {
    const reason = refusal(question);
    if (reason === null || spares?.(question) != null) continue;
    const ownCode = typeof code === "string" ? code : code(question);
    return { allowed: false, code: ownCode, reason, retryAfter: retryAfter?.(question) ?? null, inputs };
  }
  return { allowed: true, code: "allowed", reason: "no rule is against it", retryAfter: null, inputs };
}

/** Returns the finding of each check, in order. */
export function findings(question: Question): readonly RuleFinding[] {
  return CHECKS.map(({ code, refusal, spares, inputs }) => {
    const found = { code: typeof code === "string" ? code : code(question), inputs: inputs(question) };
    const reason = refusal(question);
    if (reason === null) return { ...found, verdict: "passes", reason: "nothing against it" };
    const exception = spares?.(question) ?? null;
    if (exception !== null) return { ...found, verdict: "spared", reason: `${reason}; but ${exception}` };
    return { ...found, verdict: "refuses", reason };
  });
}
