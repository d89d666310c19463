import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AS_PERSONA, ON_BEHALF_OF, ownerOf, txnIdAt } from "../../../src/model/attribution.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { TenantId, UserId } from "../../../src/model/ids.ts";
import { isJsonObject, stringAt, without, type JsonObject, type JsonValue } from "../../../src/model/json.ts";
import { MESSAGE_PROFILE } from "../../../src/model/message-profile.ts";
import { toWire, fromWire, type Costume, type Profile } from "../../../src/model/persona.ts";
import { ALICE, message, OWN } from "../../support/events.ts";
import { tenant, viewer } from "../../support/tenants.ts";

const TELEGRAM = tenant("telegram");
const IRC = tenant("irc");
const CAT = "@telegram_cat:ours.example" as UserId;
const NOBODY: Profile = { displayname: null, avatarUrl: null };

/** What a message of the persona Cat is sent as, unless told otherwise. */
function costume(more: Partial<Costume> = {}): Costume {
  const profile = { displayname: "Cat", avatarUrl: "mxc://ours.example/cat" };
  const isPersona = (user: UserId): boolean => user.startsWith("@telegram_");
  const costume = { type: "m.room.message", tenant: TELEGRAM.id, user: CAT, isSender: false, isPersona, profile };
  return { ...costume, fallback: true, ...more };
}

/** An event of the pseudouser's, as the homeserver has it. */
function sent(content: JsonObject, more: Partial<RoomEvent> = {}): RoomEvent {
  return { ...message({ id: "sent", sender: OWN }), content, ...more };
}

const asTelegram = (event: RoomEvent): RoomEvent => fromWire(event, viewer(TELEGRAM));
const asIrc = (event: RoomEvent): RoomEvent => fromWire(event, viewer(IRC));

const TEXT: JsonObject = { msgtype: "m.text", body: "meow" };
const HTML: JsonObject = { ...TEXT, format: "org.matrix.custom.html", formatted_body: "<p>meow</p>" };

describe("what a persona sends", () => {
  test("shows its name and avatar, and bears the marks of whose it is", () => {
    expect(toWire(HTML, costume())).toEqual({
      msgtype: "m.text",
      body: "Cat: meow",
      format: "org.matrix.custom.html",
      formatted_body: "<strong data-mx-profile-fallback>Cat: </strong><p>meow</p>",
      [MESSAGE_PROFILE]: {
        id: CAT,
        displayname: "Cat",
        avatar_url: "mxc://ours.example/cat",
        has_fallback: true,
        [ON_BEHALF_OF]: "telegram",
      },
      [ON_BEHALF_OF]: "telegram",
      [AS_PERSONA]: CAT,
    });
  });

  test("is the tenant's and the persona's, for whoever knows the pseudouser", () => {
    expect(ownerOf(sent(toWire(TEXT, costume())), OWN)).toEqual({ tenant: "telegram", persona: CAT });
    expect(ownerOf(sent(toWire(TEXT, costume()), { sender: ALICE }), OWN)).toBeNull();
  });

  test("has the name before its text only where the operator wants that", () => {
    const wire = toWire(HTML, costume({ fallback: false }));
    expect(wire).toMatchObject({ ...HTML, [MESSAGE_PROFILE]: { displayname: "Cat", has_fallback: false } });
  });

  test.each<[string, JsonObject, boolean]>([
    ["a text", TEXT, true],
    ["a notice", { msgtype: "m.notice", body: "x" }, true],
    ["an emote", { msgtype: "m.emote", body: "waves" }, true],
    ["a text without a body", { msgtype: "m.text" }, false],
    ["a text whose body is no text", { msgtype: "m.text", body: 5 }, false],
    ["an image by its name", { msgtype: "m.image", body: "cat.png", url: "mxc://a/b" }, false],
    ["an image by its name, twice", { msgtype: "m.image", body: "cat.png", filename: "cat.png" }, false],
    ["an image with a caption", { msgtype: "m.image", body: "my cat", filename: "cat.png" }, true],
    ["a file with a caption", { msgtype: "m.file", body: "read this", filename: "a.pdf" }, true],
    ["a place", { msgtype: "m.location", body: "here", geo_uri: "geo:1,2", filename: "x" }, false],
    ["something new", { msgtype: "org.example.new", body: "x" }, false],
  ])("%s has the name before it: %#", (_what, content, isPrefixed) => {
    const wire = toWire(content, costume());
    expect(wire["body"]).toEqual(isPrefixed ? `Cat: ${stringAt(content, "body")}` : content["body"]);
    expect(wire[MESSAGE_PROFILE]).toMatchObject({ id: CAT, has_fallback: isPrefixed });
  });

  test.each<[string, string, JsonObject, boolean]>([
    ["a sticker", "m.sticker", { body: "cat", url: "mxc://a/b" }, true],
    ["a reaction", "m.reaction", { "m.relates_to": { rel_type: "m.annotation", event_id: "$e", key: "+" } }, false],
    ["an encrypted event", "m.room.encrypted", { ciphertext: "…" }, false],
    ["a redaction", "m.room.redaction", { redacts: "$e" }, false],
    ["state", "com.example.state", { msgtype: "m.text", body: "x" }, false],
    ["a message of no kind", "m.room.message", { body: "x" }, false],
  ])("%s shows a profile: %s", (_what, type, content, isShown) => {
    const wire = toWire(content, costume({ type }));
    expect(Object.hasOwn(wire, MESSAGE_PROFILE)).toBe(isShown);
    expect(wire).toMatchObject({ ...content, [ON_BEHALF_OF]: "telegram", [AS_PERSONA]: CAT });
  });

  test("shows in its edits, too, in the text that takes the old one's place", () => {
    const edit = { ...TEXT, body: "* purr", "m.new_content": { ...HTML }, "m.relates_to": { rel_type: "m.replace" } };
    expect(toWire(edit, costume())).toMatchObject({
      body: "Cat: * purr",
      "m.new_content": {
        body: "Cat: meow",
        formatted_body: "<strong data-mx-profile-fallback>Cat: </strong><p>meow</p>",
        [MESSAGE_PROFILE]: { id: CAT, has_fallback: true },
        [ON_BEHALF_OF]: "telegram",
        [AS_PERSONA]: CAT,
      },
    });
  });

  test.each<[string, string | null, string]>([
    ["no name", null, "telegram_cat"],
    ["an empty name", "", "telegram_cat"],
    ["nothing but null bytes", "\0\0", "telegram_cat"],
    ["a null byte", "C\0at", "Cat"],
    ["half a character", "Cat\ud83d", "Cat\ufffd"],
    ["300 letters", "x".repeat(300), "x".repeat(255)],
    ["100 cats of four bytes", "🐈".repeat(100), "🐈".repeat(63)],
  ])("with %s shows a name that MSC4144 allows", (_what, displayname, shown) => {
    const wire = toWire(TEXT, costume({ profile: { displayname, avatarUrl: null } }));
    expect(wire).toMatchObject({
      body: `${shown}: meow`,
      [MESSAGE_PROFILE]: { displayname: shown, avatar_url: "" },
    });
  });

  test("with a name full of HTML shows that name and brings no HTML along", () => {
    const profile = { displayname: `<b>"Tom" & 'Jerry'</b>`, avatarUrl: null };
    const wire = toWire(HTML, costume({ profile }));
    expect(wire["body"]).toBe(`<b>"Tom" & 'Jerry'</b>: meow`);
    expect(wire["formatted_body"]).toBe(
      "<strong data-mx-profile-fallback>&lt;b&gt;&quot;Tom&quot; &amp; &#39;Jerry&#39;&lt;/b&gt;: </strong><p>meow</p>",
    );
    expect(asTelegram(sent(wire)).content).toEqual(HTML);
  });
});

test("what the tenant's own sender sends bears the tenant's mark alone", () => {
  const wire = toWire(TEXT, costume({ user: TELEGRAM.sender, isSender: true }));
  expect(wire).toEqual({ ...TEXT, [ON_BEHALF_OF]: "telegram" });
  expect(asTelegram(sent(wire))).toMatchObject({ sender: TELEGRAM.sender, content: TEXT });
});

describe("a content that holds our keys already", () => {
  test.each<[string, JsonObject]>([
    ["another tenant's mark", { ...TEXT, [ON_BEHALF_OF]: "irc" }],
    ["another tenant's persona", { ...TEXT, [AS_PERSONA]: "@irc_dog:ours.example" }],
    ["marks that are no marks", { ...TEXT, [ON_BEHALF_OF]: ["irc"], [AS_PERSONA]: { a: 1 } }],
  ])("%s: goes out as the sending tenant's", (_what, content) => {
    for (const isSender of [true, false]) {
      const event = sent(toWire({ ...content, "m.new_content": content }, costume({ isSender })));
      expect(ownerOf(event, OWN)).toEqual({ tenant: "telegram", persona: isSender ? null : CAT });
      expect(ownerOf({ ...event, content: event.content["m.new_content"] as JsonObject }, OWN)).toEqual({
        tenant: "telegram",
        persona: isSender ? null : CAT,
      });
      expect(asTelegram(event).content).toEqual({ ...TEXT, "m.new_content": TEXT });
      expect(asIrc(event)).toBe(event);
    }
  });

  test.each<[string, JsonObject]>([
    ["a profile that looks like ours", { [MESSAGE_PROFILE]: { id: CAT, displayname: "Cat", has_fallback: true } }],
    ["an odd profile", { [MESSAGE_PROFILE]: null }],
    ["the profile of the day when MSC4144 is accepted", { "m.per_message_profile": { id: CAT } }],
  ])("%s stays as it is", (_what, own) => {
    const content = { msgtype: "m.text", body: "Cat: meow", ...own };
    const wire = toWire(content, costume());
    expect(wire).toMatchObject(content);
    expect(asTelegram(sent(wire)).content).toEqual(content);
  });

  test("a profile of its own that says it is ours does not come off", () => {
    const forged = { id: CAT, displayname: "Cat", has_fallback: true, [ON_BEHALF_OF]: "telegram" };
    const event = asTelegram(sent(toWire({ ...TEXT, body: "Cat: meow", [MESSAGE_PROFILE]: forged }, costume())));
    expect(event.content).toEqual({
      ...TEXT,
      body: "Cat: meow",
      [MESSAGE_PROFILE]: without(forged, ON_BEHALF_OF),
    });
  });
});

describe("what a tenant gets back", () => {
  const event = sent(toWire(HTML, costume()));

  test("of its own is what it sent, by whom it sent it", () => {
    expect(asTelegram(event)).toEqual({ ...event, sender: CAT, content: HTML });
    const old = { ...event, user_id: OWN };
    expect(asTelegram(old)).toEqual({ ...old, sender: CAT, user_id: CAT, content: HTML });
  });

  test("of everybody else is what it is, whatever marks it bears", () => {
    expect(asIrc(event)).toBe(event);
    const forged = { ...event, sender: ALICE };
    expect(asTelegram(forged)).toBe(forged);
    const redacted = sent({});
    expect(asTelegram(redacted)).toBe(redacted);
  });

  test("keeps within the event what is somebody else's, and loses what is ours", () => {
    const edit = sent(toWire({ ...TEXT, "m.new_content": TEXT }, costume()));
    const redaction = sent(toWire({ redacts: "$sent" }, costume({ type: "m.room.redaction", isSender: true })));
    const by = (inner: RoomEvent): RoomEvent => ({
      ...message({ id: "root" }),
      unsigned: {
        redacted_because: { ...inner },
        "m.relations": {
          "m.replace": { ...edit } as unknown as JsonObject,
          "m.thread": { count: 1, latest_event: { ...inner } as unknown as JsonObject },
          "m.annotation": { chunk: [{ type: "m.reaction", key: "+", count: 2 }] },
        },
      },
    });
    const seen = { sender: CAT, content: { ...TEXT, "m.new_content": TEXT } };
    expect(asTelegram(by(redaction)).unsigned).toMatchObject({
      redacted_because: { sender: TELEGRAM.sender, content: { redacts: "$sent" } },
      "m.relations": {
        "m.replace": seen,
        "m.thread": { count: 1, latest_event: { sender: TELEGRAM.sender, content: { redacts: "$sent" } } },
        "m.annotation": { chunk: [{ type: "m.reaction", key: "+", count: 2 }] },
      },
    });
    const others = by(message({ id: "inner" }));
    expect(asIrc(others)).toBe(others);
  });

  test("tells what stood in the state before as it was set, where the pseudouser set it", () => {
    const before = toWire({ topic: "cats" }, costume({ type: "com.example.topic", isSender: true }));
    const next = (prev_sender: string): RoomEvent => ({
      ...message({ id: "next" }),
      state_key: "",
      unsigned: { prev_content: before, prev_sender },
    });
    expect(asTelegram(next(OWN)).unsigned).toEqual({ prev_content: { topic: "cats" }, prev_sender: TELEGRAM.sender });
    const forged = next(ALICE);
    expect(asTelegram(forged)).toBe(forged);
    const others = next(OWN);
    expect(asIrc(others)).toBe(others);
  });

  test("has its own transaction ID, and nobody else's", () => {
    const owner = { tenant: TELEGRAM.id, persona: CAT };
    const unsigned = { age: 5, transaction_id: txnIdAt(owner, "call", "m1~2") };
    expect(asTelegram({ ...event, unsigned }).unsigned).toEqual({ age: 5, transaction_id: "m1~2" });
    expect(asIrc({ ...event, unsigned }).unsigned).toEqual({ age: 5 });
    const strange = { ...event, unsigned: { transaction_id: "strange" } };
    expect(asTelegram(strange).unsigned).toEqual({});
  });

  test("is left alone where events are stacked in events without an end", () => {
    let stacked = { ...event } as unknown as JsonObject;
    for (let depth = 0; depth < 20_000; depth += 1) stacked = { unsigned: { redacted_because: stacked } };
    expect(() => asTelegram(stacked as unknown as RoomEvent)).not.toThrow();
  });
});

describe("transaction IDs at the homeserver", () => {
  const id = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,5}$/).map((text) => text as TenantId);
  const user = fc.option(fc.stringMatching(/^[a-z0-9._=/+-]{1,5}$/).map((text) => `@${text}:ours.example` as UserId));
  const one = fc.record({ owner: fc.record({ tenant: id, persona: user }), call: id, txnId: fc.string() });

  test("two that differ in tenant, persona, call or the tenant's own ID never meet", () => {
    fc.assert(
      fc.property(one, one, (first, second) => {
        const isSame = JSON.stringify(first) === JSON.stringify(second);
        expect(txnIdAt(first.owner, first.call, first.txnId) === txnIdAt(second.owner, second.call, second.txnId)).toBe(
          isSame,
        );
      }),
    );
  });
});

/** Contents that know our keys, and what stands around them. */
const key = fc.oneof(
  fc.constantFrom(ON_BEHALF_OF, AS_PERSONA, MESSAGE_PROFILE, "m.new_content", "msgtype", "body", "filename", "format"),
  fc.constantFrom("formatted_body", "id", "displayname", "has_fallback", "__proto__", "m.per_message_profile"),
  fc.string(),
);
const scalar: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constantFrom<JsonValue>("telegram", "irc", CAT, "Cat", "Cat: meow", "m.text", "m.image", "org.matrix.custom.html"),
  fc.constantFrom<JsonValue>("<strong data-mx-profile-fallback>Cat: </strong>", null, true, false),
  fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<JsonValue>,
);
const { content: anyContent } = fc.letrec<{ value: JsonValue; content: JsonObject }>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, scalar, fc.array(scalar, { maxLength: 2 }), tie("content")),
  content: fc
    .array(fc.tuple(key, tie("value")), { maxLength: 8 })
    .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as JsonObject),
}));
const anyName = fc.option(fc.oneof(fc.constantFrom("Cat", "", "<b>", "a: b"), fc.string({ unit: "binary" })));
const anyCostume = fc
  .record({
    type: fc.constantFrom("m.room.message", "m.sticker", "m.reaction", "com.example"),
    isSender: fc.boolean(),
    fallback: fc.boolean(),
    profile: fc.record({ displayname: anyName, avatarUrl: fc.option(fc.string()) }),
  })
  .map((more) => costume(more));

/** A content as it comes back: without marks, at any depth, and where a profile has an ID that is none, without that. */
function unmarked(content: JsonObject): JsonObject {
  const bare = JSON.parse(
    JSON.stringify(content, (_key, value: unknown) =>
      isJsonObject(value)
        ? Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith("org.matrix.msc1777.")))
        : value,
    ),
  ) as JsonObject;
  const edited = bare["m.new_content"];
  for (const each of [bare, ...(isJsonObject(edited) ? [edited] : [])]) {
    for (const name of [MESSAGE_PROFILE, "m.per_message_profile"]) {
      const profile = each[name];
      if (isJsonObject(profile) && typeof profile["id"] !== "string") delete profile["id"];
    }
  }
  return bare;
}

describe("whatever a tenant sends", () => {
  test("comes back to it as it was, but for marks, and is nobody else's", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(anyContent, anyCostume, (content, worn) => {
        const event = sent(toWire(content, worn));
        const persona = worn.isSender ? null : CAT;
        expect(ownerOf(event, OWN)).toEqual({ tenant: "telegram", persona });
        const seen = asTelegram(event);
        expect(JSON.stringify(seen.content)).toBe(JSON.stringify(unmarked(content)));
        expect(seen.sender).toBe(persona ?? TELEGRAM.sender);
        expect(asIrc(event)).toBe(event);
      }),
      { numRuns: 2_000 },
    );
  });

  test("follows the rules of MSC4144 where it shows a profile of ours", () => {
    const removed = /^<strong\s+data-mx-profile-fallback(?:="")?\s*>([^<]+): <\/strong\s*>/;
    fc.assert(
      fc.property(fc.constantFrom(TEXT, HTML), anyName, (content, displayname) => {
        const wire = toWire(content, costume({ profile: { ...NOBODY, displayname } }));
        const profile = wire[MESSAGE_PROFILE] as Record<string, string>;
        const name = profile["displayname"] ?? "";
        expect(name).not.toBe("");
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(wire["body"]).toBe(`${name}: meow`);
        if (content === HTML) expect(stringAt(wire, "formatted_body")?.replace(removed, "")).toBe("<p>meow</p>");
      }),
    );
  });
});
