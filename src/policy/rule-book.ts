import { createHash } from "node:crypto";
import { matchesGlob } from "./glob.ts";
import type { Entity, PolicyRule, RuleSource, Standing } from "./rule.ts";

/** All rules about rooms, servers, users and tenants, whoever made them. An allowing rule is an exception: it stands above denying ones. */
export class RuleBook {
  readonly #bySource = new Map<RuleSource, readonly PolicyRule[]>();

  /** Puts a source's rules in place of those that it had. */
  replace(source: RuleSource, rules: readonly PolicyRule[]): void {
    if (rules.length === 0) this.#bySource.delete(source);
    else this.#bySource.set(source, rules);
  }

  /** The rules of a source, or of all. */
  rules(source: RuleSource | null = null): readonly PolicyRule[] {
    return source === null ? [...this.#bySource.values()].flat() : (this.#bySource.get(source) ?? []);
  }

  /** The rule that holds for an entity: an allowing one if there is one, else a denying one, else null. */
  ruleFor({ kind, text }: Entity): PolicyRule | null {
    const hash = createHash("sha256").update(text).digest("base64").replace(/=+$/, "");
    const found = this.rules().filter(
      (rule) => rule.kind === kind && (rule.hashed ? rule.entity === hash : matchesGlob([rule.entity], text)),
    );
    return found.find(({ verdict }) => verdict === "allow") ?? found[0] ?? null;
  }

  /** What the rules say of each of these; those that no rule is about are left out. */
  standings(entities: readonly Entity[]): readonly Standing[] {
    return entities.flatMap((entity) => {
      const rule = this.ruleFor(entity);
      return rule === null ? [] : [{ entity, rule }];
    });
  }
}
