import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AS_PERSONA, ON_BEHALF_OF } from "../../../src/model/attribution.ts";
import type { UserId } from "../../../src/model/ids.ts";
import { without, type JsonObject } from "../../../src/model/json.ts";
import { fromWire, stateFromWire } from "../../../src/model/persona.ts";
import {
  hasCreatorPower,
  levelsSeen,
  levelsToSet,
  PERSONA_LEVELS,
  type LevelsWriter,
} from "../../../src/model/power-levels.ts";
import { ALICE, BOB, message, OWN } from "../../support/events.ts";
import { tenant, viewer } from "../../support/tenants.ts";

const TELEGRAM = tenant("telegram", { users: "@telegram_.*" });
const IRC = tenant("irc", { users: "@irc_.*" });
const BOT = TELEGRAM.sender;
const CAT = "@telegram_cat:ours.example" as UserId;
const DOG = "@telegram_dog:ours.example" as UserId;
const VIEWER = viewer(TELEGRAM, [CAT, DOG]);

const seen = (content: JsonObject): JsonObject => levelsSeen(content, VIEWER);
const set = (written: JsonObject, current: JsonObject, more: Partial<LevelsWriter> = {}): JsonObject =>
  levelsToSet(written, current, { ...VIEWER, isCreator: false, ...more });
const given = (levels: JsonObject): JsonObject => ({ [PERSONA_LEVELS]: { telegram: levels } });

describe("power levels as a tenant sees them", () => {
  test.each<[string, JsonObject, JsonObject]>([
    ["its sender has the pseudouser's", { users: { [OWN]: 50, [ALICE]: 100 } }, { users: { [BOT]: 50, [ALICE]: 100 } }],
    ["whoever gave it that, and as a text, too", { users: { [OWN]: "50" } }, { users: { [BOT]: "50" } }],
    [
      "its personas have what it gave them",
      { users: { [OWN]: 100 }, ...given({ [CAT]: 50 }) },
      { users: { [BOT]: 100, [CAT]: 50 } },
    ],
    [
      "but at most the pseudouser's",
      { users: { [OWN]: 10 }, ...given({ [CAT]: 50 }) },
      { users: { [BOT]: 10, [CAT]: 10 } },
    ],
    [
      "a creator's have all of it",
      { users: {}, ...given({ [BOT]: 100, [CAT]: 50 }) },
      { users: { [BOT]: 100, [CAT]: 50 } },
    ],
    [
      "others' are nothing to it",
      { users: { [OWN]: 1 }, [PERSONA_LEVELS]: { irc: { "@irc_x:ours.example": 1 } } },
      { users: { [BOT]: 1 } },
    ],
    [
      "nobody else gets power that way",
      { users: { [OWN]: 1 }, ...given({ [ALICE]: 100, [OWN]: 5, x: 1 }) },
      { users: { [BOT]: 1 } },
    ],
    ["nonsense stays nonsense", { users: [1], ...given({ [CAT]: 1 }) }, { users: [1] }],
  ])("%s", (_what, content, wanted) => {
    expect(seen(content)).toEqual(wanted);
  });

  test("are the same object where none of it concerns the tenant", () => {
    const content = { users: { [ALICE]: 100 }, ban: 50 };
    expect(seen(content)).toBe(content);
  });

  test("are so in events, in what was before them, and as a content alone", () => {
    const users = { [OWN]: 50 };
    const event = {
      ...message({ id: "levels", sender: ALICE }),
      type: "m.room.power_levels",
      state_key: "",
      content: { users },
      unsigned: { prev_content: { users }, prev_sender: ALICE },
    };
    expect(fromWire(event, VIEWER)).toMatchObject({
      sender: ALICE,
      content: { users: { [BOT]: 50 } },
      unsigned: { prev_content: { users: { [BOT]: 50 } } },
    });
    expect(stateFromWire("m.room.power_levels", { users, [ON_BEHALF_OF]: "telegram" }, VIEWER)).toEqual({
      users: { [BOT]: 50 },
    });
    expect(stateFromWire("com.example", { users }, VIEWER)).toEqual({ users });
  });
});

describe("power levels that a tenant writes", () => {
  const FIRST = { users: { [OWN]: 100, [ALICE]: 50 }, users_default: 0 };

  test.each<[string, JsonObject, JsonObject]>([
    ["others get what it gives them", { users: { [BOT]: 100, [BOB]: 25 } }, { users: { [OWN]: 100, [BOB]: 25 } }],
    ["the pseudouser keeps what it says nothing of", { users: { [BOB]: 25 } }, { users: { [OWN]: 100, [BOB]: 25 } }],
    ["also where it says nothing at all", { ban: 10 }, { users: { [OWN]: 100 }, ban: 10 }],
    ["it may lower its own", { users: { [BOT]: 60 } }, { users: { [OWN]: 60 } }],
    [
      "not below what its personas are to have",
      { users: { [BOT]: 60, [CAT]: 90 } },
      { users: { [OWN]: 90 }, ...given({ [CAT]: 90 }) },
    ],
    [
      "its personas are not among the users",
      { users: { [BOT]: 100, [CAT]: 50 } },
      { users: { [OWN]: 100 }, ...given({ [CAT]: 50 }) },
    ],
    [
      "what one is to have above that is asked for",
      { users: { [CAT]: 101 } },
      { users: { [OWN]: 101 }, ...given({ [CAT]: 101 }) },
    ],
    [
      "the key is not its to write",
      { users: {}, [PERSONA_LEVELS]: { irc: { [ALICE]: 9 } } },
      { users: { [OWN]: 100 } },
    ],
    ["nonsense is the homeserver's to refuse", { users: { [BOT]: "many" } }, { users: { [OWN]: "many" } }],
  ])("%s", (_what, written, wanted) => {
    expect(set(written, FIRST)).toEqual(wanted);
  });

  test("a level that was everybody's is kept where it is lowered for everybody", () => {
    expect(set({ users_default: 0 }, { users_default: 100 })).toEqual({ users_default: 0, users: { [OWN]: 100 } });
  });

  test("a creator has no level, and what its users have is noted", () => {
    const written = { users: { [BOT]: 100, [OWN]: 100, [CAT]: 50, [ALICE]: 10 } };
    expect(set(written, { users: {} }, { isCreator: true })).toEqual({
      users: { [ALICE]: 10 },
      ...given({ [BOT]: 100, [CAT]: 50 }),
    });
  });

  test("what another tenant gave its own stays", () => {
    const others = { [PERSONA_LEVELS]: { irc: { "@irc_x:ours.example": 50 } } };
    expect(set({ users: { [BOT]: 90 } }, { users: { [OWN]: 100 }, ...others })).toEqual({
      users: { [OWN]: 90 },
      ...others,
    });
  });

  const level = fc.integer({ min: -1, max: 200 });
  const users = fc.dictionary(fc.constantFrom(OWN, ALICE, BOB, CAT, BOT), level);
  const noted = fc.dictionary(fc.constantFrom(CAT, DOG), fc.integer({ min: 1, max: 200 }), { minKeys: 1 });
  const content = fc
    .record(
      {
        users,
        users_default: level,
        events: fc.dictionary(fc.string(), level),
        [PERSONA_LEVELS]: fc.record({ telegram: noted, irc: noted }, { requiredKeys: ["irc"] }),
      },
      { requiredKeys: [] },
    )
    .map((one) => one as JsonObject);

  test("written back as they were read, nothing in the room changes", () => {
    fc.assert(
      fc.property(content, fc.boolean(), (real, isCreator) => {
        const inRoom = isCreator ? withoutUsers(real, OWN) : real;
        // As it is sent: what was read went through JSON.
        const read = JSON.parse(JSON.stringify(seen(inRoom))) as JsonObject;
        expect(set(read, inRoom, { isCreator })).toEqual(inRoom);
      }),
    );
  });

  test("whatever is written, none of the tenant's gets among the users, and the others have what they were given", () => {
    fc.assert(
      fc.property(content, users, fc.boolean(), (real, asked, isCreator) => {
        const before = withoutUsers(real, CAT, BOT);
        const made = set({ users: asked }, before, { isCreator });
        const after = made["users"] as JsonObject | undefined;
        expect(withoutUsers(made, OWN)["users"] ?? {}).toEqual(without(asked, OWN, CAT, BOT));
        if (isCreator) expect(after ?? {}).not.toHaveProperty([OWN]);
      }),
    );
  });

  test("what the tenant gave its users it reads back", () => {
    fc.assert(
      fc.property(users, (asked) => {
        const rest = without(asked, OWN, BOT);
        const read = seen(set({ users: { ...rest, [BOT]: 200 } }, { users: { [OWN]: 200 } }));
        expect(read).toEqual({ users: { ...rest, [BOT]: 200 } });
      }),
    );
  });
});

describe("who made a room in which makers' power has no level", () => {
  const create = (content: JsonObject, sender = OWN): ReturnType<typeof message> => ({
    ...message({ id: "create", sender }),
    type: "m.room.create",
    state_key: "",
    content,
  });

  test("is, to each tenant, its sender, for it has that power", () => {
    expect(fromWire(create({ room_version: "12" }), VIEWER).sender).toBe(BOT);
    expect(fromWire(create({ room_version: "12" }), viewer(IRC)).sender).toBe(IRC.sender);
    const more = create({ room_version: "12", additional_creators: [BOB, OWN] }, ALICE);
    const { sender, content } = fromWire(more, VIEWER);
    expect([sender, content["additional_creators"]]).toEqual([ALICE, [BOB, BOT]]);
  });

  test("is the pseudouser in rooms where it has a level", () => {
    const event = create({ room_version: "11" });
    expect(fromWire(event, VIEWER)).toBe(event);
  });
});

describe("who made a room whose content says so", () => {
  const created = (content: JsonObject, sender = OWN): ReturnType<typeof message> => ({
    ...message({ id: "create", sender }),
    type: "m.room.create",
    state_key: "",
    content: { room_version: "10", ...content },
  });

  test.each<[string, JsonObject, UserId]>([
    ["sender", { [ON_BEHALF_OF]: "telegram" }, BOT],
    ["persona", { [ON_BEHALF_OF]: "telegram", [AS_PERSONA]: CAT }, CAT],
  ])("is the tenant's %s that did, to the tenant, as an event and as a content alone", (_who, marks, user) => {
    const event = created({ creator: OWN, ...marks });
    const shown = { room_version: "10", creator: user };
    expect(fromWire(event, VIEWER)).toMatchObject({ sender: user });
    expect(fromWire(event, VIEWER).content).toEqual(shown);
    expect(stateFromWire("m.room.create", event.content, VIEWER)).toEqual(shown);
  });

  test("is the pseudouser to all others, and nobody of a tenant's in what another user made", () => {
    const event = created({ creator: OWN, [ON_BEHALF_OF]: "telegram" });
    expect(fromWire(event, viewer(IRC))).toBe(event);
    expect(stateFromWire("m.room.create", event.content, viewer(IRC))).toBe(event.content);
    const forged = created({ creator: OWN, [ON_BEHALF_OF]: "telegram" }, ALICE);
    expect(fromWire(forged, VIEWER)).toBe(forged);
    const others = created({ creator: ALICE, [ON_BEHALF_OF]: "telegram" });
    expect(fromWire(others, VIEWER).content).toEqual({ room_version: "10", creator: ALICE });
  });
});

test.each([
  ["11", false],
  ["12", true],
  ["13", true],
  ["org.matrix.hydra.11", true],
  ["org.example.1", false],
])("in room version %s makers have power without a level: %s", (version, has) => {
  expect(hasCreatorPower(version)).toBe(has);
});

function withoutUsers(content: JsonObject, ...others: readonly string[]): JsonObject {
  const users = content["users"];
  return users === undefined ? content : { ...content, users: without(users as JsonObject, ...others) };
}
