import { EmissaryError } from "../model/errors.ts";
import type { JsonValue } from "../model/json.ts";
import type { Question } from "./question.ts";
import type { PolicyRule, RuleMatch } from "./rule.ts";

/** Whether a rule is the operator's, from the configuration or made at run time. */
export function isOperators({ source }: PolicyRule): boolean {
  return source === "config" || source === "operator";
}

/** Whether a rule comes from a policy list. */
export function isListed(rule: PolicyRule): boolean {
  return !isOperators(rule);
}

/** Returns why the first denying rule among the selected ones keeps us out; null if there is none. */
export function denial({ matches }: Question, whose: (rule: PolicyRule) => boolean): string | null {
  const found = matches.find(({ rule }) => rule.verdict === "deny" && whose(rule));
  return found === undefined ? null : ruleClause(found);
}

/** Returns why all known routes to the room are denied; else null. The first rule's source decides the code. */
export function routeDenial({ deniedRoutes }: Question, whose: (rule: PolicyRule) => boolean): string | null {
  const [first] = deniedRoutes;
  if (first === undefined || !whose(first.rule)) return null;
  const others =
    deniedRoutes.length === 1 ? "" : `, and so with all ${deniedRoutes.length} servers that may be asked for this room`;
  return `${ruleClause(first)}${others}`;
}

/** Returns the code of a refusal by a rule. */
export function ruleCode(rule: PolicyRule): "denied" | "listed" {
  return isOperators(rule) ? "denied" : "listed";
}

/** Returns the refusal for a rule that denies before anything is known of a room. */
export function refusedByRule(what: string, match: RuleMatch): EmissaryError {
  return new EmissaryError("refused-by-policy", `${what}: ${ruleClause(match)}.`, { reason: ruleCode(match.rule) });
}

/** Describes a denying rule to the operator, with its source and reason. */
export function ruleClause({ entity, rule }: RuleMatch): string {
  const by =
    rule.source === "config"
      ? "the configuration"
      : rule.source === "operator"
        ? "the operator (emissary policy)"
        : `the policy list ${rule.source}`;
  const why = rule.reason === null ? "" : `: ${rule.reason}`;
  return `the ${entity.kind} ${entity.text} is denied by ${by}, rule ${rule.hashed ? "by its hash" : rule.entity}${why}`;
}

export function rulesOf(matches: readonly RuleMatch[], whose: (rule: PolicyRule) => boolean): JsonValue {
  return matches.filter(({ rule }) => whose(rule)).map(ruleText);
}

function ruleText({ entity, rule }: RuleMatch): string {
  return `${rule.verdict} ${entity.kind} ${entity.text}`;
}

export function subjectText({ kind, name }: { readonly kind: string; readonly name: string }): string {
  switch (kind) {
    case "all":
      return "all together";
    case "user":
      return "one user";
    default:
      return `the ${kind} ${name}`;
  }
}
