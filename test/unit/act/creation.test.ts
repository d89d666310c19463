import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { creationOf, type Creation } from "../../../src/gateways/act/rooms/creation.ts";
import { AS_PERSONA, ON_BEHALF_OF, ownerIn } from "../../../src/model/attribution.ts";
import type { UserId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { PERSONA_LEVELS } from "../../../src/model/power-levels.ts";
import { tenant } from "../../support/tenants.ts";

const OWN = "@:ours.example" as UserId;
const TELEGRAM = tenant("telegram", { users: "@_telegram_.*" });
const GHOST = "@_telegram_1:ours.example" as UserId;
const PERSON = "@alice:ours.example";
const isPersona = (user: UserId): boolean => user === TELEGRAM.sender || user.startsWith("@_telegram_");

function creation(more: Partial<Creation> = {}): Creation {
  return { own: OWN, caller: { tenant: TELEGRAM, user: TELEGRAM.sender }, isPersona, creatorHasLevel: true, ...more };
}

describe("the room that a tenant has made", () => {
  test("is marked as the tenant's, or as its persona's", () => {
    expect(creationOf({}, creation())["creation_content"]).toEqual({ [ON_BEHALF_OF]: "telegram" });
    const asGhost = creation({ caller: { tenant: TELEGRAM, user: GHOST } });
    expect(creationOf({}, asGhost)["creation_content"]).toEqual({ [ON_BEHALF_OF]: "telegram", [AS_PERSONA]: GHOST });
  });

  test("keeps all else as it was asked for", () => {
    const body = {
      name: "n",
      topic: "t",
      preset: "public_chat",
      is_direct: true,
      room_alias_name: "a",
      visibility: "public",
    };
    expect(creationOf(body, creation())).toMatchObject(body);
  });

  test("gives the pseudouser the most power that any of the tenant's users was to have, and notes what the others were", () => {
    const levels = { users: { [GHOST]: 100, [TELEGRAM.sender]: 50, [PERSON]: 75 }, ban: 60 };
    const state = { type: "m.room.power_levels", state_key: "", content: levels };
    const made = creationOf({ power_level_content_override: levels, initial_state: [state] }, creation());
    const wanted = {
      users: { [PERSON]: 75, [OWN]: 100 },
      ban: 60,
      [PERSONA_LEVELS]: { telegram: { [GHOST]: 100 } },
    };
    expect(made["power_level_content_override"]).toEqual(wanted);
    expect(made["initial_state"]).toMatchObject([{ content: { ...wanted, [ON_BEHALF_OF]: "telegram" } }]);
  });

  test("leaves the pseudouser a maker's power where the levels name nobody of the tenant's", () => {
    const made = creationOf({ power_level_content_override: { users: { [PERSON]: 75 } } }, creation());
    expect(made["power_level_content_override"]).toEqual({ users: { [PERSON]: 75, [OWN]: 100 } });
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
    expect(made["power_level_content_override"]).toEqual({ [PERSONA_LEVELS]: { telegram: given } });
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
        const made = creationOf(asked as JsonObject, creation());
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
});
