import type { RoomId } from "../model/ids.ts";
import { remember } from "../concurrency/remember.ts";
import { isOneAlias } from "./pins.ts";
import {
  ENTITY_KINDS,
  type Entity,
  type EntityKind,
  type PolicyRule,
  type RuleSource,
  type RuleMatch,
} from "./rule.ts";
import { RuleIndex, spellingsOf } from "./rule-index.ts";

/** Cached answers for each kind of entity: the most recently used. */
const KEPT = 5_000;

/** The only sources that can make exceptions. */
const OURS: readonly RuleSource[] = ["config", "operator"];

/** Whether a rule is an exception by one alias. */
export function isByAlias({ kind, verdict, entity }: Pick<PolicyRule, "kind" | "verdict" | "entity">): boolean {
  return kind === "room" && verdict === "allow" && isOneAlias(entity);
}

interface Chapter {
  readonly rules: readonly PolicyRule[];
  readonly index: RuleIndex;
}

/** All rules about rooms, servers, users and tenants. An allowing rule is an exception: it overrides denying ones. */
export class RuleBook {
  readonly #bySource = new Map<RuleSource, Chapter>();
  readonly #answers = Object.fromEntries(ENTITY_KINDS.map((kind) => [kind, new Map()])) as Readonly<
    Record<EntityKind, Map<string, PolicyRule | null>>
  >;
  /** Exceptions by one alias, by the room that the alias stands for. */
  #pinned: ReadonlyMap<RoomId, readonly PolicyRule[]> = new Map();

  /** Replaces a source's rules. */
  replace(source: RuleSource, rules: readonly PolicyRule[]): void {
    if (rules.length === 0) this.#bySource.delete(source);
    else this.#bySource.set(source, { rules, index: new RuleIndex(rules) });
    for (const answers of Object.values(this.#answers)) answers.clear();
    const byRoom = new Map<RoomId, PolicyRule[]>();
    for (const rule of this.exceptionsByAlias()) {
      if (rule.pin !== undefined) byRoom.set(rule.pin, [...(byRoom.get(rule.pin) ?? []), rule]);
    }
    this.#pinned = byRoom;
  }

  /** Returns the rules of a source, or of all. */
  rules(source: RuleSource | null = null): readonly PolicyRule[] {
    return source === null
      ? [...this.#bySource.values()].flatMap(({ rules }) => rules)
      : (this.#bySource.get(source)?.rules ?? []);
  }

  /** Returns how many of a source's rules are set aside to keep look-ups cheap. These rules match nothing. */
  setAside(source: RuleSource): number {
    return this.#bySource.get(source)?.index.setAside ?? 0;
  }

  sources(): readonly RuleSource[] {
    return [...this.#bySource.keys()];
  }

  /** Returns the rule that applies to an entity: an allowing one if there is one, else a denying one, else null. */
  ruleFor({ kind, text }: Entity): PolicyRule | null {
    const answers = this.#answers[kind];
    const known = answers.get(text);
    const rule = known === undefined ? this.#find(kind, text) : known;
    remember(answers, text, rule, KEPT);
    return rule;
  }

  /** Returns the rule that denies an entity, regardless of exceptions; or null. */
  denialOf({ kind, text }: Entity): PolicyRule | null {
    const spellings = spellingsOf(kind, text);
    for (const { index } of this.#bySource.values()) {
      const denying = index.first(kind, "deny", spellings);
      if (denying !== null) return denying;
    }
    return null;
  }

  /** Returns the exceptions by one alias made for a room. Only the directory knows where the alias points now. */
  pinnedTo(roomId: RoomId): readonly PolicyRule[] {
    return this.#pinned.get(roomId) ?? [];
  }

  /** Returns all exceptions by one alias without a wildcard. */
  exceptionsByAlias(): readonly PolicyRule[] {
    return OURS.flatMap((source) => this.#bySource.get(source)?.rules ?? []).filter(isByAlias);
  }

  /** Returns the rule for each of the entities, without those that no rule is about. */
  matches(entities: readonly Entity[]): readonly RuleMatch[] {
    return entities.flatMap((entity) => {
      const rule = this.ruleFor(entity);
      return rule === null ? [] : [{ entity, rule }];
    });
  }

  #find(kind: EntityKind, text: string): PolicyRule | null {
    const spellings = spellingsOf(kind, text);
    let denying: PolicyRule | null = null;
    for (const { index } of this.#bySource.values()) {
      const allowing = index.first(kind, "allow", spellings);
      if (allowing !== null) return allowing;
      denying ??= index.first(kind, "deny", spellings);
    }
    return denying;
  }
}
