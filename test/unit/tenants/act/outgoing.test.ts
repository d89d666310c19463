import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AS_PERSONA, ON_BEHALF_OF, ownerIn } from "../../../../src/model/attribution.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { TenantId, UserId } from "../../../../src/model/ids.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../../src/model/json.ts";
import { MESSAGE_PROFILE } from "../../../../src/model/message-profile.ts";
import { outgoing, type Outgoing, type Way } from "../../../../src/tenants/act/outgoing.ts";
import type { Costume } from "../../../../src/model/persona.ts";
import { PERSONA_LEVELS } from "../../../../src/model/power-levels.ts";

const BOT = "@_emissary_telegram:ours.example" as UserId;
const CAT = "@telegram_cat:ours.example" as UserId;
const OTHERS = "@irc_dog:ours.example";
const STABLE = "m.per_message_profile";
const ID = "$theirs";

function costume(type: string, more: Partial<Costume> = {}): Costume {
  return {
    type,
    tenant: "telegram" as TenantId,
    user: BOT,
    isSender: true,
    isPersona: (user) => user === BOT || user.startsWith("@telegram_"),
    profile: { displayname: null, avatarUrl: null },
    fallback: false,
    ...more,
  };
}

function go(way: Way, type: string, content: JsonObject): Outgoing | string {
  try {
    return outgoing(way, content, costume(type));
  } catch (error) {
    if (error instanceof EmissaryError) return error.code;
    throw error;
  }
}

function related(relType: JsonValue, more: JsonObject = {}): JsonObject {
  return { "m.relates_to": { rel_type: relType, event_id: ID, ...more } };
}

const OWN = { eventId: ID, mustBe: "own" };
const NOT_ANOTHERS = { eventId: ID, mustBe: "not-anothers" };

describe("what an event says of others", () => {
  test.each<[Way, string, string, JsonObject, readonly object[] | string]>([
    ["send", "m.room.message", "nothing", {}, []],
    ["send", "m.room.message", "a reply", { "m.relates_to": { "m.in_reply_to": { event_id: ID } } }, []],
    ["send", "m.room.message", "nothing, as some libraries say it", { "m.relates_to": null }, []],
    ["send", "m.reaction", "a reaction", related("m.annotation", { key: "+" }), []],
    ["send", "m.room.message", "a thread", related("m.thread"), []],
    ["send", "m.room.message", "an edit", related("m.replace"), [OWN]],
    ["send", "m.room.encrypted", "an edit", related("m.replace"), [OWN]],
    [
      "send",
      "m.room.message",
      "an edit within an edit's new content",
      { "m.new_content": related("m.replace") },
      [OWN],
    ],
    [
      "send",
      "m.room.message",
      "an edit in a list",
      { "m.relations": [{ rel_type: "m.replace", event_id: ID }] },
      [OWN],
    ],
    ["send", "m.room.message", "a reference", related("m.reference"), [NOT_ANOTHERS]],
    ["send", "m.poll.end", "the end of a poll", related("m.reference"), [NOT_ANOTHERS]],
    ["send", "org.matrix.msc3381.poll.end", "the end of a poll", related("m.reference"), [NOT_ANOTHERS]],
    ["send", "org.matrix.msc3381.poll.response", "a vote", related("m.reference"), []],
    ["send", "m.beacon", "a place on a map", related("m.reference"), [NOT_ANOTHERS]],
    ["send", "m.room.message", "something new", related("org.example.new"), [NOT_ANOTHERS]],
    ["send", "m.room.message", "a relation that is none", { "m.relates_to": "m.replace" }, "bad-request"],
    ["send", "m.room.message", "a list for a type", related(["m.replace"]), "bad-request"],
    ["send", "m.room.message", "a type without an event", { "m.relates_to": { rel_type: "m.replace" } }, "bad-request"],
    ["send", "m.room.message", "an object for a list", { "m.relations": related("m.replace") }, "bad-request"],
    [
      "send",
      "m.room.message",
      "five at once",
      { "m.relations": Array(5).fill({ rel_type: "a", event_id: ID }) },
      "bad-request",
    ],
    ["state", "com.example", "an edit", related("m.replace"), "forbidden"],
    ["state", "m.room.topic", "an edit", related("m.replace"), "forbidden"],
    ["state", "com.example", "a reference", related("m.reference"), [NOT_ANOTHERS]],
    ["state", "com.example", "a thread", related("m.thread"), []],
    ["first-state", "com.example", "a thread", related("m.thread"), "forbidden"],
    ["creation", "m.room.create", "an edit", related("m.replace"), "forbidden"],
  ])("%s %s with %s", (way, type, _what, content, targets) => {
    const gone = go(way, type, content);
    if (typeof targets === "string") expect(gone).toBe(targets);
    else expect(gone).toMatchObject({ content, targets });
  });

  test.each<[Way, string, JsonObject, object | string]>([
    ["redact", "m.room.redaction", { reason: "spam" }, { reason: "spam" }],
    ["redact", "m.room.redaction", { "org.matrix.msc3912.with_relations": ["m.room.message"] }, {}],
    ["redact", "m.room.redaction", { with_rel_types: ["*"], with_relations: ["*"] }, {}],
    ["redact", "m.room.redaction", { redacts: ID, ...related("m.replace") }, {}],
    ["send", "m.room.redaction", { redacts: ID, reason: "spam", "m.x": 1 }, { redacts: ID, reason: "spam" }],
    ["send", "m.room.redaction", { reason: "spam" }, "bad-request"],
    ["send", "m.room.redaction", { redacts: [ID] }, "bad-request"],
    ["state", "m.room.redaction", { redacts: ID }, "forbidden"],
    ["first-state", "m.room.redaction", { redacts: ID }, "forbidden"],
  ])("%s %s of %j", (way, type, content, kept) => {
    const gone = go(way, type, content);
    if (typeof kept === "string") expect(gone).toBe(kept);
    else expect((gone as Outgoing).content).toEqual({ ...kept, [ON_BEHALF_OF]: "telegram" });
    if (way === "send" && typeof kept !== "string")
      expect(gone).toMatchObject({ targets: [{ eventId: ID, mustBe: "redactable" }] });
  });
});

test.each<[Way, string]>([
  ["state", "m.room.message"],
  ["state", "m.room.encrypted"],
  ["state", "m.sticker"],
  ["state", "m.reaction"],
  ["state", "m.room.member"],
  ["state", "m.room.create"],
  ["state", "m.room.third_party_invite"],
  ["send", "m.room.member"],
  ["send", "m.room.create"],
  ["send", "m.room.third_party_invite"],
  ["first-state", "m.room.create"],
  ["first-state", "m.room.member"],
])("%s: no %s", (way, type) => {
  expect(go(way, type, {})).toBe("forbidden");
});

test("what is nested without end is refused", () => {
  const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`) as JsonObject;
  expect(go("send", "m.room.message", deep)).toBe("bad-request");
});

describe("a per-message profile of the tenant's own", () => {
  test.each([
    ["its own persona", CAT, CAT],
    ["itself", BOT, BOT],
    ["another tenant's persona", OTHERS, `telegram~${OTHERS}`],
    ["a person", "@alice:elsewhere.example", "telegram~@alice:elsewhere.example"],
    ["nobody", "7", "telegram~7"],
    ["what looks so already", "telegram~7", "telegram~telegram~7"],
  ])("names %s", (_who, id, shown) => {
    for (const key of [MESSAGE_PROFILE, STABLE]) {
      const content = { msgtype: "m.text", body: "x", [key]: { id, displayname: "Al", avatar_url: "mxc://a/b" } };
      const sent = go("send", "m.room.message", { ...content, "m.new_content": content }) as Outgoing;
      const profile = { id: shown, displayname: "Al", avatar_url: "mxc://a/b" };
      expect(sent.content).toMatchObject({ [key]: profile, "m.new_content": { [key]: profile } });
    }
  });

  test("has no ID where that is no text", () => {
    const sent = go("send", "m.room.message", { [MESSAGE_PROFILE]: { id: [OTHERS], displayname: "Al" } }) as Outgoing;
    expect(sent.content[MESSAGE_PROFILE]).toEqual({ displayname: "Al" });
  });
});

const MARKS = [ON_BEHALF_OF, AS_PERSONA, PERSONA_LEVELS, "org.matrix.msc1777.next"];
const RELATION_TYPES = ["m.replace", "m.annotation", "m.thread", "m.reference", "org.example.new"];
const scalar = fc.constantFrom<JsonValue>(...RELATION_TYPES, ID, OTHERS, CAT, null, 7, true, "irc");
const key = fc.oneof(
  fc.constantFrom(...MARKS, "m.relates_to", "m.relations", "m.new_content", "rel_type", "event_id"),
  fc.constantFrom(MESSAGE_PROFILE, STABLE, "id", "redacts", "__proto__", "body", "org.matrix.msc3912.with_relations"),
  fc.string(),
);
const { content: anyContent } = fc.letrec<{ value: JsonValue; content: JsonObject }>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, scalar, fc.array(tie("value"), { maxLength: 3 }), tie("content")),
  content: fc
    .array(fc.tuple(key, tie("value")), { maxLength: 8 })
    .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as JsonObject),
}));

/** Every key of every object in a value, with where it stands. */
function keysIn(value: JsonValue, at = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => keysIn(one, `${at}[]`));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => [`${at}/${name}`, ...keysIn(inner, `${at}/${name}`)]);
}

test(
  "whatever a tenant sends, in whichever way: the marks are ours, its relations are of the list, and the rest is as it was",
  { timeout: 60_000 },
  () => {
    const way = fc.constantFrom<Way>("send", "redact", "state", "creation", "first-state");
    const type = fc.constantFrom("m.room.message", "com.example", "m.room.redaction", "m.reaction", "m.poll.end");
    const worn = fc.constantFrom<Partial<Costume>>({}, { user: CAT, isSender: false, fallback: true });
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(way, type, anyContent, worn, (by, of, content, more) => {
        let gone: Outgoing;
        try {
          gone = outgoing(by, content, costume(by === "redact" ? "m.room.redaction" : of, more));
        } catch (error) {
          expect(error).toBeInstanceOf(EmissaryError);
          outcomes.set("refused", (outcomes.get("refused") ?? 0) + 1);
          return;
        }
        outcomes.set(by, (outcomes.get(by) ?? 0) + 1);
        const persona = more.user ?? null;
        expect(ownerIn(gone.content)).toEqual({ tenant: "telegram", persona });
        const ours = keysIn(gone.content).filter((path) => path.includes("org.matrix.msc1777."));
        const places = new Set(
          ["", "/m.new_content"].flatMap((at) => [
            `${at}/${ON_BEHALF_OF}`,
            `${at}/${AS_PERSONA}`,
            `${at}/${MESSAGE_PROFILE}/${ON_BEHALF_OF}`,
          ]),
        );
        expect(ours.filter((path) => !places.has(path))).toEqual([]);
        expect(JSON.stringify(gone.content)).not.toContain('"org.matrix.msc1777.on_behalf_of":"irc"');
        // Whatever could change another event is among what is asked for first.
        for (const each of [gone.content, gone.content["m.new_content"] ?? null]) {
          if (!isJsonObject(each)) continue;
          const list = each["m.relations"] ?? [];
          for (const relation of [each["m.relates_to"] ?? null, ...(Array.isArray(list) ? list : [])]) {
            if (!isJsonObject(relation) || (relation["rel_type"] ?? null) === null) continue;
            expect(["send", "state"]).toContain(by);
            const isHarmless = relation["rel_type"] === "m.annotation" || relation["rel_type"] === "m.thread";
            const mustBe = relation["rel_type"] === "m.replace" ? "own" : "not-anothers";
            if (mustBe === "own") expect(by).toBe("send");
            const wanted = expect.objectContaining({ eventId: relation["event_id"], mustBe }) as object;
            if (!isHarmless) expect(gone.targets).toContainEqual(wanted);
          }
        }
        if (of === "m.room.redaction" || by === "redact") return;
        for (const [name, value] of Object.entries(content)) {
          const isOurs =
            name.startsWith("org.matrix.msc1777.") || [MESSAGE_PROFILE, STABLE, "m.new_content"].includes(name);
          if (!isOurs && !JSON.stringify(value).includes("org.matrix.msc1777.")) {
            expect([name, gone.content[name]]).toEqual([name, value]);
          }
        }
      }),
      { numRuns: 1_500 },
    );
    for (const outcome of ["refused", "send", "redact", "state", "creation"]) {
      expect([outcome, (outcomes.get(outcome) ?? 0) > 20]).toEqual([outcome, true]);
    }
  },
);
