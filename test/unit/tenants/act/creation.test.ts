import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { creationOf, upgradeOf, type Creation } from "../../../../src/tenants/act/rooms/creation.ts";
import { AS_PERSONA, ON_BEHALF_OF, ownerIn } from "../../../../src/model/attribution.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { RoomAlias, UserId } from "../../../../src/model/ids.ts";
import type { JsonObject, JsonValue } from "../../../../src/model/json.ts";
import { PERSONA_LEVELS } from "../../../../src/model/power-levels.ts";
import { tenant } from "../../../support/tenants.ts";

const OWN = "@:ours.example" as UserId;
const TELEGRAM = tenant("telegram", { users: "@_telegram_.*" });
const GHOST = "@_telegram_1:ours.example" as UserId;
const PERSON = "@alice:ours.example";
const isPersona = (user: UserId): boolean => user === TELEGRAM.sender || user.startsWith("@_telegram_");

function creation(more: Partial<Creation> = {}): Creation {
  const isHidden = (user: UserId): boolean => user.startsWith("@_irc_");
  const caller = { tenant: TELEGRAM, user: TELEGRAM.sender };
  return { own: OWN, caller, isPersona, isHidden, creatorHasLevel: true, alias: null, ...more };
}

/** What cannot be read is refused, and nothing is made of it. */
function unlessRefused(make: () => JsonObject): JsonObject | null {
  try {
    return make();
  } catch (error) {
    expect(error).toBeInstanceOf(EmissaryError);
    return null;
  }
}

describe("the room that a tenant has made", () => {
  test("is marked as the tenant's, or as its persona's", () => {
    expect(creationOf({}, creation())["creation_content"]).toEqual({ [ON_BEHALF_OF]: "telegram" });
    const asGhost = creation({ caller: { tenant: TELEGRAM, user: GHOST } });
    expect(creationOf({}, asGhost)["creation_content"]).toEqual({ [ON_BEHALF_OF]: "telegram", [AS_PERSONA]: GHOST });
  });

  test("keeps all else as it was asked for", () => {
    const body = {
      preset: "public_chat",
      is_direct: true,
      room_alias_name: "a",
      visibility: "public",
    };
    expect(creationOf(body, creation())).toMatchObject(body);
  });

  const PRIVATE = { join_rules: "invite", history_visibility: "shared", guest_access: "can_join" };
  const PUBLIC = { join_rules: "public", history_visibility: "shared" };
  test.each<[string, JsonObject, JsonObject]>([
    ["a body without words", {}, PRIVATE],
    ["a listed room", { visibility: "public" }, PUBLIC],
    ["a public room that is not listed", { visibility: "private", preset: "public_chat" }, PUBLIC],
    ["a private chat", { visibility: "public", preset: "private_chat" }, PRIVATE],
    ["a chat among equals", { preset: "trusted_private_chat" }, PRIVATE],
    ["a preset that nobody knows", { preset: "toString" }, {}],
    [
      "an alias, a name and a topic",
      { room_alias_name: "a", name: "n", topic: "t" },
      { canonical_alias: "#a:ours.example", ...PRIVATE, name: "n", topic: "t" },
    ],
    [
      "what the tenant sets itself",
      {
        room_alias_name: "a",
        initial_state: [
          { type: "m.room.canonical_alias", content: { alias: "#b:ours.example" } },
          { type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } },
          { type: "m.room.guest_access", state_key: "other", content: { guest_access: "other" } },
        ],
      },
      { ...PRIVATE, guest_access: "can_join", canonical_alias: "#b:ours.example", join_rules: "knock" },
    ],
  ])("of %s, has the marks in all that the homeserver would set by itself", (_what, body, wanted) => {
    const alias = "room_alias_name" in body ? ("#a:ours.example" as RoomAlias) : null;
    const made = creationOf(body, creation({ alias, caller: { tenant: TELEGRAM, user: GHOST } }));
    const state = made["initial_state"] as { type: string; state_key: string; content: JsonObject }[];
    const found = state
      .filter(({ state_key: key }) => key === "")
      .map(({ type, content }) => {
        expect(ownerIn(content)).toEqual({ tenant: "telegram", persona: GHOST });
        return [type.slice("m.room.".length), Object.values(content)[0]] as const;
      });
    expect(found).toHaveLength(Object.keys(wanted).length);
    expect(Object.fromEntries(found)).toEqual(wanted);
    expect(made).not.toHaveProperty("name");
    expect(made).not.toHaveProperty("topic");
  });

  test("gives the pseudouser the most power that any of the tenant's users was to have, and notes what the others were", () => {
    const levels = { users: { [GHOST]: 100, [TELEGRAM.sender]: 50, [PERSON]: 75 }, ban: 60 };
    const state = { type: "m.room.power_levels", state_key: "", content: levels };
    const made = creationOf({ power_level_content_override: levels, initial_state: [state] }, creation());
    const [first] = (made["initial_state"] as JsonObject[]).filter(({ type }) => type === "m.room.power_levels");
    const wanted = {
      users: { [PERSON]: 75, [OWN]: 100 },
      ban: 60,
      [PERSONA_LEVELS]: { telegram: { [GHOST]: 100 } },
    };
    expect(made["power_level_content_override"]).toEqual({ ...wanted, [ON_BEHALF_OF]: "telegram" });
    expect(first).toMatchObject({ content: { ...wanted, [ON_BEHALF_OF]: "telegram" } });
  });

  test("leaves the pseudouser a maker's power where the levels name nobody of the tenant's", () => {
    const made = creationOf({ power_level_content_override: { users: { [PERSON]: 75 } } }, creation());
    expect(made["power_level_content_override"]).toMatchObject({ users: { [PERSON]: 75, [OWN]: 100 } });
  });

  test.each<[string, JsonObject, Partial<Creation>, JsonObject]>([
    ["a persona that makes it", {}, { caller: { tenant: TELEGRAM, user: GHOST } }, { [GHOST]: 100 }],
    ["those invited as equals", { preset: "trusted_private_chat", invite: [GHOST, PERSON] }, {}, { [GHOST]: 100 }],
    [
      "further creators",
      { creation_content: { additional_creators: [GHOST, PERSON] } },
      { creatorHasLevel: false },
      { [TELEGRAM.sender]: 150, [GHOST]: 150 },
    ],
    ["its sender, in a version without makers' levels", {}, { creatorHasLevel: false }, { [TELEGRAM.sender]: 150 }],
  ])("is, to the tenant, made by %s, too", (_who, body, more, given) => {
    const made = creationOf(body, creation(more));
    expect(made["power_level_content_override"]).toMatchObject({ [PERSONA_LEVELS]: { telegram: given } });
  });

  test("has no levels of ours where the preset's are right", () => {
    const made = creationOf({ preset: "public_chat", invite: [GHOST] }, creation());
    expect("power_level_content_override" in made).toBe(false);
  });

  test("whatever the body holds, the mark is the tenant's alone and none of its users is invited", () => {
    const user = fc.constantFrom(GHOST, TELEGRAM.sender, PERSON, OWN, "nonsense");
    const content = fc.dictionary(fc.constantFrom(ON_BEHALF_OF, AS_PERSONA, "users", "x"), fc.jsonValue());
    const body = fc.record(
      {
        invite: fc.oneof(fc.array(user), fc.jsonValue()),
        creation_content: fc.oneof(content, fc.jsonValue()),
        power_level_content_override: fc.oneof(
          fc.record({ users: fc.dictionary(user, fc.jsonValue()) }),
          fc.jsonValue(),
        ),
        initial_state: fc.oneof(
          fc.array(
            fc.oneof(
              fc.record({ type: fc.constantFrom("m.room.power_levels", "com.example"), content }),
              fc.jsonValue(),
            ),
          ),
          fc.jsonValue(),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(body, (asked) => {
        const made = unlessRefused(() => creationOf(asked as JsonObject, creation()));
        if (made === null) return;
        const override = made["power_level_content_override"] ?? null;
        if (override !== null) expect(ownerIn(override as JsonObject)).toEqual({ tenant: "telegram", persona: null });
        expect(ownerIn(made["creation_content"] as JsonObject)).toEqual({ tenant: "telegram", persona: null });
        const levels = made["power_level_content_override"];
        const users = typeof levels === "object" && levels !== null && !Array.isArray(levels) ? levels["users"] : {};
        expect(Object.keys(users ?? {})).not.toContain(GHOST);
        expect(Object.keys(users ?? {})).not.toContain(TELEGRAM.sender);
        const invited = made["invite"];
        if (Array.isArray(invited)) expect(invited).not.toContain(GHOST);
        for (const event of Array.isArray(made["initial_state"]) ? made["initial_state"] : []) {
          if (typeof event !== "object" || event === null || Array.isArray(event)) continue;
          expect(ownerIn(event["content"] as JsonObject)).toEqual({ tenant: "telegram", persona: null });
        }
      }),
    );
  });

  test.each<[string, JsonObject, JsonObject]>([
    ["what is not known", { "org.example.next": true, room_id: "!a:b", creation_content: {} }, {}],
    [
      "what an event of the first state has no use for",
      { initial_state: [{ type: "com.example", sender: PERSON, event_id: "$x", content: { a: 1 } }] },
      {
        initial_state: [{ type: "com.example", state_key: "", content: { a: 1, [ON_BEHALF_OF]: "telegram" } }],
      },
    ],
    [
      "a forged mark of the power levels",
      {
        power_level_content_override: {
          ban: 1,
          [ON_BEHALF_OF]: "irc",
          [PERSONA_LEVELS]: { irc: { "@_irc_1:x": 100 } },
        },
      },
      { power_level_content_override: { ban: 1, [ON_BEHALF_OF]: "telegram" } },
    ],
    ["an empty list of addresses", { invite_3pid: [] }, {}],
  ])("leaves %s behind", (_what, body, rest) => {
    const usual = creationOf({}, creation())["initial_state"] as JsonValue[];
    const { initial_state: state = [], ...others } = rest;
    expect(creationOf(body, creation())).toEqual({
      creation_content: { [ON_BEHALF_OF]: "telegram" },
      initial_state: [...usual, ...(state as JsonValue[])],
      ...others,
    });
  });

  test.each<[string, JsonObject, string]>([
    ["addresses to invite", { invite_3pid: [{ id_server: "internal.host", medium: "email" }] }, "forbidden"],
    ["addresses that are no list", { invite_3pid: { id_server: "internal.host" } }, "forbidden"],
    ["another tenant's user to invite", { invite: ["@_irc_1:ours.example"] }, "forbidden"],
    ["an object for a list of users", { invite: { "@_irc_1:ours.example": 1 } }, "bad-request"],
    [
      "another tenant's user as a creator",
      { creation_content: { additional_creators: ["@_irc_1:ours.example"] } },
      "forbidden",
    ],
    ["pairs for an object of levels", { power_level_content_override: [[ON_BEHALF_OF, "irc"]] }, "bad-request"],
    ["an event for a name", { name: { [ON_BEHALF_OF]: "irc" } }, "bad-request"],
    [
      "a redaction as state",
      { initial_state: [{ type: "m.room.redaction", content: { redacts: "$x" } }] },
      "forbidden",
    ],
    ["an invite of an address as state", { initial_state: [{ type: "m.room.third_party_invite" }] }, "forbidden"],
    ["a second first event", { initial_state: [{ type: "m.room.create", content: {} }] }, "forbidden"],
    ["a type that is none", { initial_state: [{ type: ["m.room.create"], content: {} }] }, "bad-request"],
    [
      "an edit before there is anything",
      {
        initial_state: [
          { type: "com.example", content: { "m.relates_to": { rel_type: "m.replace", event_id: "$x" } } },
        ],
      },
      "forbidden",
    ],
  ])("%s: refused", (_what, body, code) => {
    expect(() => creationOf(body, creation())).toThrow(expect.objectContaining({ code }) as Error);
  });
});

test("an upgrade says the new version and its creators, and no more", () => {
  const body = { new_version: "12", additional_creators: [PERSON, GHOST], "org.example.next": 1 };
  expect(upgradeOf(body, creation())).toEqual({ new_version: "12", additional_creators: [PERSON] });
});
