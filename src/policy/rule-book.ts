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

/** Answers that are remembered of each kind of entity: those that were asked for last. */
const KEPT = 5_000;

/** Only these make exceptions. */
const OURS: readonly RuleSource[] = ["config", "operator"];

/** Whether a rule is an exception by one alias. */
export function isByAlias({ kind, verdict, entity }: Pick<PolicyRule, "kind" | "verdict" | "entity">): boolean {
  return kind === "room" && verdict === "allow" && isOneAlias(entity);
}

interface Chapter {
  readonly rules: readonly PolicyRule[];
  readonly index: RuleIndex;
}

/** All rules about rooms, servers, users and tenants, whoever made them. An allowing rule is an exception: it stands above denying ones. */
export class RuleBook {
  readonly #bySource = new Map<RuleSource, Chapter>();
  readonly #answers = Object.fromEntries(ENTITY_KINDS.map((kind) => [kind, new Map()])) as Readonly<
    Record<EntityKind, Map<string, PolicyRule | null>>
  >;
  /** Exceptions by one alias, by the room that this stands for. */
  #pinned: ReadonlyMap<RoomId, readonly PolicyRule[]> = new Map();

  /** Puts a source's rules in place of those that it had. */
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

  /** The rules of a source, or of all. */
  rules(source: RuleSource | null = null): readonly PolicyRule[] {
    return source === null
      ? [...this.#bySource.values()].flatMap(({ rules }) => rules)
      : (this.#bySource.get(source)?.rules ?? []);
  }

  /** How many of a source's rules are set aside, so that looking one up stays cheap: nothing matches them. */
  setAside(source: RuleSource): number {
    return this.#bySource.get(source)?.index.setAside ?? 0;
  }

  /** The sources that have rules. */
  sources(): readonly RuleSource[] {
    return [...this.#bySource.keys()];
  }

  /** The rule that holds for an entity: an allowing one if there is one, else a denying one, else null. */
  ruleFor({ kind, text }: Entity): PolicyRule | null {
    const answers = this.#answers[kind];
    const known = answers.get(text);
    const rule = known === undefined ? this.#find(kind, text) : known;
    remember(answers, text, rule, KEPT);
    return rule;
  }

  /** The rule that denies an entity, whatever exceptions there are; null for none. */
  denialOf({ kind, text }: Entity): PolicyRule | null {
    const spellings = spellingsOf(kind, text);
    for (const { index } of this.#bySource.values()) {
      const denying = index.first(kind, "deny", spellings);
      if (denying !== null) return denying;
    }
    return null;
  }

  /** The exceptions by one alias that were made for a room. Whether the alias still points there, the directory says. */
  pinnedTo(roomId: RoomId): readonly PolicyRule[] {
    return this.#pinned.get(roomId) ?? [];
  }

  /** All exceptions by one alias, without a wildcard. */
  exceptionsByAlias(): readonly PolicyRule[] {
    return OURS.flatMap((source) => this.#bySource.get(source)?.rules ?? []).filter(isByAlias);
  }

  /** What the rules say of each of these; those that no rule is about are left out. */
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
