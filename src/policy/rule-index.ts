import { hash } from "node:crypto";
import { GlobIndex } from "./glob-index.ts";
import type { EntityKind, PolicyRule } from "./rule.ts";
import { hostOf } from "./server-acl.ts";

/** All spellings of an entity that rules may use. Their hashes are computed on first use. */
export class Spellings {
  readonly texts: readonly string[];
  #hashes: readonly string[] | null = null;

  constructor(texts: readonly string[]) {
    this.texts = texts;
  }

  get hashes(): readonly string[] {
    this.#hashes ??= this.texts.map((text) => hash("sha256", text, "base64").replace(/=+$/, ""));
    return this.#hashes;
  }
}

/**
 * Returns an entity's spellings. Server names are case-insensitive, and ports do not count: a policy list's rule has
 * the effect of an entry in a room's access list (spec, "Moderation policy lists", m.ban; m.room.server_acl).
 */
export function spellingsOf(kind: EntityKind, text: string): Spellings {
  if (kind !== "server") return new Spellings([text]);
  const server = text.toLowerCase();
  const host = hostOf(server);
  return new Spellings(host === server ? [server] : [server, host]);
}

interface Part {
  readonly rules: readonly PolicyRule[];
  readonly globs: GlobIndex;
  /** By the hash that they name. */
  readonly hashes: ReadonlyMap<string, PolicyRule>;
}

/** Looks up one source's rules by entity. */
export class RuleIndex {
  /** Number of rules that are set aside because too many have similar globs (GlobIndex). */
  readonly setAside: number;
  readonly #parts: ReadonlyMap<string, Part>;

  constructor(rules: readonly PolicyRule[]) {
    const parts = Map.groupBy(rules, ({ kind, verdict }) => partOf(kind, verdict));
    this.#parts = new Map([...parts].map(([key, some]) => [key, indexed(some)]));
    this.setAside = [...this.#parts.values()].reduce((sum, { globs }) => sum + globs.setAside.length, 0);
  }

  /** Returns the first rule with this verdict about an entity, or null. Rules by hash come last. */
  first(kind: EntityKind, verdict: PolicyRule["verdict"], entity: Spellings): PolicyRule | null {
    const part = this.#parts.get(partOf(kind, verdict));
    if (part === undefined) return null;
    const place = Math.min(...entity.texts.map((text) => part.globs.first(text)));
    const plain = part.rules[place];
    if (plain !== undefined || part.hashes.size === 0) return plain ?? null;
    return entity.hashes.map((of) => part.hashes.get(of)).find((rule) => rule !== undefined) ?? null;
  }
}

function indexed(all: readonly PolicyRule[]): Part {
  const rules = all.filter(({ hashed }) => !hashed);
  const entities = rules.map(({ kind, entity }) => (kind === "server" ? entity.toLowerCase() : entity));
  // If several rules name the same hash, the first counts, so it is set last.
  const hashes = all.filter(({ hashed }) => hashed).reverse();
  return { rules, globs: new GlobIndex(entities), hashes: new Map(hashes.map((rule) => [rule.entity, rule])) };
}

function partOf(kind: EntityKind, verdict: PolicyRule["verdict"]): string {
  return `${verdict} ${kind}`;
}
