import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import fc from "fast-check";
import type { StateEvent } from "../../../src/model/event.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { concernsRules, ruleIn } from "../../../src/policy/policy-list.ts";

const LIST = "!list:lists.example" as RoomId;
const BAN = { entity: "evil.example", recommendation: "m.ban", reason: "spam" };
const HASH = createHash("sha256").update("@???>>>:evil.example").digest("base64");

function event(type: string, content: JsonObject): StateEvent {
  return {
    event_id: "$rule",
    room_id: LIST,
    type,
    state_key: "any",
    sender: "@mod:lists.example",
    origin_server_ts: 1,
    content,
  } as StateEvent;
}

function entityIn(content: JsonObject): string | null {
  return ruleIn(event("m.policy.rule.user", content), LIST)?.entity ?? null;
}

describe("an event of a policy list", () => {
  test("is a rule that denies, with its reason and the list that it is of", () => {
    expect(ruleIn(event("m.policy.rule.server", BAN), LIST)).toEqual({
      kind: "server",
      verdict: "deny",
      entity: "evil.example",
      hashed: false,
      reason: "spam",
      source: LIST,
    });
  });

  test.each(["m.policy.rule", "m.room.rule", "org.matrix.mjolnir.rule"])("of the types %s.* is a rule", (prefix) => {
    for (const kind of ["user", "room", "server"]) {
      expect(ruleIn(event(`${prefix}.${kind}`, BAN), LIST)?.kind).toBe(kind);
      expect(concernsRules(`${prefix}.${kind}`)).toBe(true);
    }
  });

  test.each(["m.policy.rule.tenant", "m.policy.rule", "m.room.name", "__proto__"])("of type %s is none", (type) => {
    expect(ruleIn(event(type, BAN), LIST)).toBeNull();
    expect(concernsRules(type)).toBe(false);
  });

  test.each(["m.ban", "org.matrix.mjolnir.ban", "m.takedown", "org.matrix.msc4204.takedown"])("denies by %s", (of) => {
    expect(entityIn({ ...BAN, recommendation: of })).toBe("evil.example");
  });

  test.each(["org.matrix.mjolnir.allow", "m.warn", "", 1, null, ["m.ban"]])("denies nothing by %j", (of) => {
    expect(entityIn({ ...BAN, recommendation: of })).toBeNull();
  });

  test("says nothing once it is taken back: redacted, or without content", () => {
    expect(entityIn({})).toBeNull();
    expect(entityIn({ recommendation: "m.ban" })).toBeNull();
    expect(concernsRules("m.room.redaction")).toBe(true);
  });

  test.each<[string, JsonObject]>([
    ["in the stable field", { hashes: { sha256: HASH } }],
    ["in the unstable field", { "org.matrix.msc4205.hashes": { sha256: HASH } }],
    ["without padding", { hashes: { sha256: HASH.replace("=", "") } }],
    ["in the alphabet for URLs", { hashes: { sha256: HASH.replaceAll("+", "-").replaceAll("/", "_") } }],
    ["beside others", { hashes: { sha256: HASH, sha512: "x" } }],
  ])("names by its hash (MSC4205) %s", (_where, hashed) => {
    expect(HASH).toMatch(/[+/]/);
    const rule = ruleIn(event("m.policy.rule.user", { recommendation: "m.takedown", ...hashed }), LIST);
    expect(rule).toMatchObject({ entity: HASH.replace("=", ""), hashed: true, reason: null });
  });

  test("that names it in plain text goes by that", () => {
    const rule = ruleIn(event("m.policy.rule.server", { ...BAN, hashes: { sha256: HASH } }), LIST);
    expect(rule).toMatchObject({ entity: "evil.example", hashed: false });
  });

  test.each<[string, JsonObject]>([
    ["an empty name", { entity: "" }],
    ["a name longer than any", { entity: "x".repeat(256) }],
    ["half a character", { entity: "@bad\ud83d:x.org" }],
    ["a name that is no text", { entity: { $ne: "" } }],
    ["a short hash", { hashes: { sha256: "abc" } }],
    ["a long hash", { hashes: { sha256: "A".repeat(1_000) } }],
    ["a hash with other characters", { hashes: { sha256: `${"A".repeat(42)}!` } }],
    ["a hash that is no text", { hashes: { sha256: 7 } }],
    ["hashes that are a list", { hashes: [HASH] }],
    ["hashes that are nothing", { hashes: null }],
  ])("with %s is no rule", (_what, named) => {
    expect(entityIn({ recommendation: "m.ban", ...named })).toBeNull();
  });

  test("has its reason cut, and one that is no text left out", () => {
    const reasonIn = (reason: JsonObject[string]): unknown =>
      ruleIn(event("m.policy.rule.user", { ...BAN, reason }), LIST)?.reason;
    expect(reasonIn("r".repeat(60_000))).toHaveLength(500);
    expect(reasonIn("\ud83d")).toBe("\ufffd");
    for (const none of ["", 5, null, {}]) expect(reasonIn(none)).toBeNull();
  });

  test("never breaks the reading of the list, whatever it holds", () => {
    const content = fc.dictionary(
      fc.constantFrom("entity", "recommendation", "reason", "hashes", "org.matrix.msc4205.hashes"),
      fc.oneof(fc.jsonValue(), fc.constant("m.ban"), fc.record({ sha256: fc.jsonValue() })),
    );
    fc.assert(
      fc.property(fc.constantFrom("m.policy.rule.user", "m.room.rule.room"), content, (type, body) => {
        const rule = ruleIn(event(type, body as JsonObject), LIST);
        expect(rule === null || (rule.verdict === "deny" && rule.entity.length <= 255)).toBe(true);
      }),
    );
  });
});
