import { isUserId, serverOf, type UserId } from "../model/ids.ts";
import type { Tenant } from "../model/tenant.ts";

/** An overlap, certain or possible, of two namespaces. */
export interface Overlap {
  /** A user in both; null if none was found, but an overlap could not be ruled out. */
  readonly user: UserId | null;
}

type Namespace = Pick<Tenant, "sender" | "users">;

/** Whether a namespace names a user: its sender, or a user that its expression matches. */
export type Names = (namespace: Namespace, userId: UserId) => boolean;

/** Texts that are tried after the literal prefix of an expression. */
const ENDINGS: readonly string[] = ["1", "a", "x", "_", "bot", "user1", "1234567890", "alice", ""];

/**
 * Returns the overlap of two namespaces, or null if they certainly have none. Namespaces with different literal
 * prefixes are disjoint; most have their own (`@_telegram_.*`). If one prefix continues the other, users are tried:
 * one that both match proves an overlap. Otherwise, the overlap is reported as possible.
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

/** Returns user IDs that begin with a text, or with its localpart. */
function usersLike(beginning: string, server: string): readonly UserId[] {
  const localpart = (beginning.startsWith("@") ? beginning : `@${beginning}`).split(":")[0] ?? "@";
  return ENDINGS.map((ending) => `${localpart}${ending}:${server}`).filter(
    (user): user is UserId => isUserId(user) && !user.startsWith("@:"),
  );
}

/** Characters that stand for themselves in an expression. */
const LITERAL = /[^\\^$.*+?()[\]{}|]/;
/** Characters that stand for themselves when escaped. Escaped letters and digits mean something else. */
const ESCAPED = /[^A-Za-z0-9]/;

/** Returns texts such that every match begins with one of them. The empty text means that nothing is known. */
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
    // An optional or repeated character is not part of the common prefix.
    if (/[*?{]/.test(expression[at + 1] ?? "")) break;
    beginning += character;
  }
  return beginning;
}

/** Splits an expression at its outermost `|`. Returns null if its brackets cannot be parsed. */
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
