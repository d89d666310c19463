import { RE2JS, RE2JSException } from "re2js";
import type { Compiled } from "../model/expression.ts";

/** In characters. Expressions in real registrations have some dozens. */
export const MAX_EXPRESSION = 1_000;
/** Most steps of an expression. A character costs that many at worst, so a match takes milliseconds. */
const MAX_STEPS = 500;

/**
 * Compiles a regular expression from outside: of a tenant's namespace or a registration. RegExp could block the
 * process practically for ever; RE2 takes linear time, and rejects what would need more.
 */
export function compileExpression(text: string): Compiled {
  if (text.length > MAX_EXPRESSION)
    return { fault: `is longer than ${MAX_EXPRESSION.toLocaleString("en")} characters` };
  try {
    // Compiled alone first: `a)(b` is invalid, but would be valid between our parentheses.
    RE2JS.compile(text);
    const compiled = RE2JS.compile(`^(?:${text})`);
    if (compiled.programSize() > MAX_STEPS) {
      return { fault: `is too large: its repetitions unfold to more than ${MAX_STEPS} steps` };
    }
    return { expression: { matches: (given) => compiled.test(given) } };
  } catch (error) {
    // Catches every error, not only those of RE2: each means that the expression is unusable.
    return { fault: faultOf(error) };
  }
}

/** Returns what is wrong with an expression, as the end of a sentence; null if nothing is. */
export function faultInExpression(text: string): string | null {
  const compiled = compileExpression(text);
  return "fault" in compiled ? compiled.fault : null;
}

function faultOf(error: unknown): string {
  const message =
    error instanceof RE2JSException ? error.message.replace(/^error parsing regexp: /, "") : String(error);
  const part = /`(.*)`$/s.exec(message)?.[1] ?? "";
  if (/^\(\?<?[=!]/.test(part)) {
    return `looks around (${part}…), which takes no bounded time to match: write it without`;
  }
  if (/^\\[1-9k]/.test(part)) {
    return `refers back to what it matched (${part}), which takes no bounded time to match: write it without`;
  }
  return `is no regular expression (${message.slice(0, 200)})`;
}
