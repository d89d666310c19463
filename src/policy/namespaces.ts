import { isUserId, serverOf, type UserId } from "../model/ids.ts";
import type { Tenant } from "../model/tenant.ts";

/** That two namespaces have users in common, or may have. */
export interface Overlap {
  /** One that both have; null where none was found, and none could be ruled out. */
  readonly user: UserId | null;
}

type Namespace = Pick<Tenant, "sender" | "users">;

/** Whether a tenant's own words name a user: its sender, or one that its expression matches. */
export type Names = (namespace: Namespace, userId: UserId) => boolean;

/** What is tried after the text that an expression begins with. */
const ENDINGS: readonly string[] = ["1", "a", "x", "_", "bot", "user1", "1234567890", "alice", ""];

/**
 * Whether two namespaces overlap, as far as it can be told. They are apart, and the answer is null, where the texts that they can begin with are:
 * most namespaces have a beginning of their own (`@_telegram_.*`). Where one beginning continues the other, users are tried, and one that both
 * match shows that they overlap. Whether two expressions of another kind have a text in common is not worked out, so that they may is said.
 */
export function overlapOf(one: Namespace, other: Namespace, names: Names): Overlap | null {
  if (one.users === null || other.users === null) return null;
  const server = serverOf(one.sender);
  const [ones, others] = [beginningsOf(one.users), beginningsOf(other.users)];
  let isOpen = false;
  for (const first of ones) {
    for (const second of others) {
      if (!first.startsWith(second) && !second.startsWith(first)) continue;
      isOpen = true;
      const longer = first.length > second.length ? first : second;
      const user = usersLike(longer, server).find((candidate) => names(one, candidate) && names(other, candidate));
      if (user !== undefined) return { user };
    }
  }
  return isOpen ? { user: null } : null;
}

/** User IDs that begin with a text, or with what of it is a localpart. */
function usersLike(beginning: string, server: string): readonly UserId[] {
  const localpart = (beginning.startsWith("@") ? beginning : `@${beginning}`).split(":")[0] ?? "@";
  return ENDINGS.map((ending) => `${localpart}${ending}:${server}`).filter(
    (user): user is UserId => isUserId(user) && !user.startsWith("@:"),
  );
}

/** Characters that stand for themselves in an expression. */
const LITERAL = /[^\\^$.*+?()[\]{}|]/;
/** Escaped, these stand for themselves: letters and digits mean something else then. */
const ESCAPED = /[^A-Za-z0-9]/;

/** Texts of which every match begins with one. The empty text is one that says nothing. */
function beginningsOf(expression: string): readonly string[] {
  const alternatives = alternativesOf(expression);
  return alternatives === null ? [""] : alternatives.map(beginningOf);
}

function beginningOf(expression: string): string {
  let beginning = "";
  for (let at = expression.startsWith("^") ? 1 : 0; at < expression.length; at += 1) {
    const isEscaped = expression[at] === "\\";
    if (isEscaped) at += 1;
    const character = expression[at] ?? "";
    if (!(isEscaped ? ESCAPED : LITERAL).test(character)) break;
    // A character that may be missing, or come again, is none that all begin with.
    if (/[*?{]/.test(expression[at + 1] ?? "")) break;
    beginning += character;
  }
  return beginning;
}

/** The parts of an expression that its outermost `|` separate; null where brackets cannot be followed. */
function alternativesOf(expression: string): readonly string[] | null {
  const parts: string[] = [];
  let depth = 0;
  let inClass = false;
  let start = 0;
  for (let at = 0; at < expression.length; at += 1) {
    const character = expression[at];
    if (character === "\\") at += 1;
    else if (inClass) inClass = character !== "]";
    else if (character === "[") inClass = true;
    else if (character === "(") depth += 1;
    else if (character === ")") depth -= 1;
    else if (character === "|" && depth === 0) {
      parts.push(expression.slice(start, at));
      start = at + 1;
    }
  }
  return depth === 0 && !inClass ? [...parts, expression.slice(start)] : null;
}
