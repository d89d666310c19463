import type { JsonValue } from "../model/json.ts";
import type { RuleFinding, Verdict } from "../model/verdict.ts";
import { CHECKS } from "./checks.ts";
import type { Question } from "./question.ts";

/** Judges whether a holder may have the pseudouser in a room. Pure. */
export function judge(question: Question): Verdict {
  for (const { code, objection, spares, retryAfter } of CHECKS) {
    const reason = objection(question);
    if (reason === null || spares?.(question) != null) continue;
    const of = typeof code === "string" ? code : code(question);
    return {
      allowed: false,
      code: of,
      reason,
      retryAfter: retryAfter?.(question) ?? null,
      inputs: inputsOf(question),
    };
  }
  return {
    allowed: true,
    code: "allowed",
    reason: "no rule is against it",
    retryAfter: null,
    inputs: inputsOf(question),
  };
}

/** Returns the finding of each check, in order. */
export function findings(question: Question): readonly RuleFinding[] {
  return CHECKS.map(({ code, objection, spares, inputs }) => {
    const found = { code: typeof code === "string" ? code : code(question), inputs: inputs(question) };
    const reason = objection(question);
    if (reason === null) return { ...found, verdict: "passes", reason: "nothing against it" };
    const word = spares?.(question) ?? null;
    if (word !== null) return { ...found, verdict: "spared", reason: `${reason}; but ${word}` };
    return { ...found, verdict: "refuses", reason };
  });
}

function inputsOf(question: Question): Record<string, JsonValue> {
  const all = CHECKS.flatMap(({ inputs }) => Object.entries(inputs(question)));
  return { holder: question.kind, ...Object.fromEntries(all) };
}
