import { RE2JS, RE2JSException } from "re2js";
import type { Compiled } from "../model/expression.ts";

/** Characters. What registrations are written with has some dozens. */
export const MAX_EXPRESSION = 1_000;
/** Steps that an expression unfolds to. Each character of a text costs that many at worst: so an answer is a matter of milliseconds. */
const MAX_STEPS = 500;

/**
 * Reads a regular expression that comes from outside: of a tenant's namespace, or of a registration. What RegExp takes may need longer than
 * anybody lives, and everything else would wait; RE2's way is linear. It knows no expression that asks for more, and says so.
 */
export function compileExpression(text: string): Compiled {
  if (text.length > MAX_EXPRESSION)
    return { fault: `is longer than ${MAX_EXPRESSION.toLocaleString("en")} characters` };
  try {
    // Read on its own first: `a)(b` is none, and between our parentheses would be one.
    RE2JS.compile(text);
    const compiled = RE2JS.compile(`^(?:${text})`);
    if (compiled.programSize() > MAX_STEPS) {
      return { fault: `is too large: its repetitions unfold to more than ${MAX_STEPS} steps` };
    }
    return { expression: { matches: (given) => compiled.test(given) } };
  } catch (error) {
    // Not of its own kinds alone: what it would fail at is to be the expression's fault, not ours.
    return { fault: faultOf(error) };
  }
}

/** What is wrong with an expression, as the end of a sentence; null where nothing is. */
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
