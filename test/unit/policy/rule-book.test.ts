import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { matchesGlob } from "../../../src/policy/glob.ts";
import { RuleBook } from "../../../src/policy/rule-book.ts";
import type { Entity, EntityKind, PolicyRule, RuleSource } from "../../../src/policy/rule.ts";

const LIST = "!list:lists.example" as RuleSource;

function deny(kind: EntityKind, entity: string, more: Partial<PolicyRule> = {}): PolicyRule {
  return { kind, entity, verdict: "deny", hashed: false, reason: null, source: "operator", ...more };
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64").replace("=", "");
}

/** The rule as one would say it: each is tried. */
function plainly(bySource: readonly (readonly PolicyRule[])[], { kind, text }: Entity): PolicyRule | null {
  const texts = kind === "server" ? [text.toLowerCase(), text.toLowerCase().replace(/:\d+$/, "")] : [text];
  const isAbout = (rule: PolicyRule): boolean =>
    texts.some((one) =>
      rule.hashed
        ? rule.entity === hashOf(one)
        : matchesGlob([kind === "server" ? rule.entity.toLowerCase() : rule.entity], one),
    );
  const found = bySource
    .flatMap((rules) => [...rules.filter(({ hashed }) => !hashed), ...rules.filter(({ hashed }) => hashed)])
    .filter((rule) => rule.kind === kind && isAbout(rule));
  return found.find(({ verdict }) => verdict === "allow") ?? found[0] ?? null;
}

describe("the rule that holds for an entity", () => {
  const book = (...rules: PolicyRule[]): RuleBook => {
    const made = new RuleBook();
    for (const [source, some] of Map.groupBy(rules, (rule) => rule.source)) made.replace(source, some);
    return made;
  };
  const verdictOn = (made: RuleBook, kind: EntityKind, text: string): string =>
    made.ruleFor({ kind, text })?.verdict ?? "none";

  test.each<[string, PolicyRule, string, string]>([
    ["a name", deny("room", "!bad:x.org"), "!bad:x.org", "deny"],
    ["another name", deny("room", "!bad:x.org"), "!good:x.org", "none"],
    ["a name with a star after it", deny("user", "@spam*"), "@spam42:x.org", "deny"],
    ["a name with a star before it", deny("server", "*.evil.example"), "deep.down.evil.example", "deny"],
    ["the same without what the star stands for", deny("server", "*.evil.example"), "evil.example", "none"],
    ["stars around a name", deny("user", "*spam*"), "@so-much-spam:x.org", "deny"],
    ["a mark for one character", deny("user", "@bot?:x.org"), "@bot7:x.org", "deny"],
    ["the same without the character", deny("user", "@bot?:x.org"), "@bot:x.org", "none"],
    ["a server in capitals", deny("server", "evil.example"), "EVIL.example", "deny"],
    ["a rule in capitals", deny("server", "EVIL.Example"), "evil.example", "deny"],
    ["a server on another port", deny("server", "evil.example"), "evil.example:8448", "deny"],
    ["a rule about one port, and no port", deny("server", "evil.example:8448"), "evil.example", "none"],
    ["a rule about one port, and that", deny("server", "evil.example:8448"), "evil.example:8448", "deny"],
    ["an address of IPv6", deny("server", "[2001:db8::1]"), "[2001:DB8::1]:8448", "deny"],
    ["a user in capitals, who is another one", deny("user", "@bad:x.org"), "@BAD:x.org", "none"],
    ["another kind of thing", deny("user", "*"), "!room:x.org", "none"],
    ["a hash", deny("user", hashOf("@bad:x.org"), { hashed: true }), "@bad:x.org", "deny"],
    ["a hash of a server, on a port", deny("server", hashOf("x.org"), { hashed: true }), "X.org:8448", "deny"],
    ["a hash that is no name", deny("user", hashOf("@bad:x.org"), { hashed: true }), hashOf("@bad:x.org"), "none"],
  ])("%s", (_what, rule, text, verdict) => {
    expect(verdictOn(book(rule), text.startsWith("!") ? "room" : rule.kind, text)).toBe(verdict);
  });

  test("an exception stands above what others deny, wherever it was made", () => {
    const made = book(
      deny("server", "*.evil.example", { source: LIST }),
      deny("server", "*", { source: "config" }),
      deny("server", "good.evil.example", { verdict: "allow" }),
    );
    expect(verdictOn(made, "server", "good.evil.example")).toBe("allow");
    expect(made.ruleFor({ kind: "server", text: "bad.evil.example" })?.source).toBe(LIST);
    expect(made.ruleFor({ kind: "server", text: "elsewhere.example" })?.source).toBe("config");
  });

  test("is no longer what it was when the rules change", () => {
    const made = book(deny("user", "@bad:x.org"));
    expect(verdictOn(made, "user", "@bad:x.org")).toBe("deny");
    expect(verdictOn(made, "user", "@good:x.org")).toBe("none");
    made.replace("operator", [deny("user", "@good:x.org")]);
    expect(verdictOn(made, "user", "@bad:x.org")).toBe("none");
    expect(verdictOn(made, "user", "@good:x.org")).toBe("deny");
    made.replace("operator", []);
    expect(made.rules()).toEqual([]);
    expect(made.sources()).toEqual([]);
    expect(verdictOn(made, "user", "@good:x.org")).toBe("none");
  });

  test("is the one that trying each rule would find", () => {
    const letter = fc.constantFrom("a", "b", "A", ".", ":", "8", "😀", "\ud83d", "\ude00");
    const text = fc.string({ unit: letter, maxLength: 7 });
    const glob = fc.string({
      unit: fc.oneof({ weight: 3, arbitrary: letter }, fc.constantFrom("*", "?")),
      maxLength: 7,
    });
    const kind = fc.constantFrom<EntityKind>("server", "user");
    const verdict = fc.constantFrom<PolicyRule["verdict"]>("deny", "deny", "deny", "allow");
    const rule = fc.record({ kind, verdict, entity: glob, hashed: fc.boolean() }).map((some): PolicyRule => ({
      ...deny(some.kind, some.hashed ? hashOf(some.entity) : some.entity),
      verdict: some.verdict,
      hashed: some.hashed,
    }));
    fc.assert(
      fc.property(
        fc.array(fc.array(rule, { minLength: 1, maxLength: 12 }), { maxLength: 3 }),
        fc.array(fc.record({ kind, text }), { minLength: 1, maxLength: 20 }),
        (lists, entities) => {
          const made = new RuleBook();
          const sourced = lists.map((rules, at) => rules.map((one) => ({ ...one, source: `!${at}` as RuleSource })));
          sourced.forEach((rules, at) => made.replace(`!${at}` as RuleSource, rules));
          for (const entity of [...entities, ...entities])
            expect(made.ruleFor(entity)).toEqual(plainly(sourced, entity));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
