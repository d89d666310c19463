import { describe, expect, test } from "vitest";
import { FUNCTIONAL_MEMBERS, maySend, NO_POWER, powerWith } from "../../../src/ledger/loading/power.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { ALICE, OWN, state } from "../../support/events.ts";

function power(levels: JsonObject | null, creation: JsonObject = { room_version: "11" }, sender = ALICE) {
  const created = state("m.room.create", creation, { id: "c", sender });
  return powerWith(
    NO_POWER,
    levels === null ? [created] : [created, state("m.room.power_levels", levels, { id: "l" })],
  );
}

const may = (known: ReturnType<typeof power>): boolean => maySend(FUNCTIONAL_MEMBERS, OWN, known);

describe("the power to list oneself", () => {
  test.each<[string, JsonObject, boolean]>([
    ["nobody is named: state asks for 50, and everybody has 0", {}, false],
    ["named with 50", { users: { [OWN]: 50 } }, true],
    ["named with less", { users: { [OWN]: 49 } }, false],
    ["everybody has 50", { users_default: 50 }, true],
    ["everybody has 50, and it less", { users_default: 50, users: { [OWN]: 0 } }, false],
    ["state is open to all", { state_default: 0 }, true],
    ["the type is open to all", { events: { [FUNCTIONAL_MEMBERS]: 0 } }, true],
    ["the type asks for more than state", { users: { [OWN]: 50 }, events: { [FUNCTIONAL_MEMBERS]: 100 } }, false],
    ["texts, as before room version 10", { users: { [OWN]: "60" }, state_default: " 60 " }, true],
    ["texts that are no numbers count as nothing said", { users: { [OWN]: "" }, state_default: "x" }, false],
    ["no lists where lists should be", { users: "x", events: [] }, false],
  ])("%s", (_what, levels, expected) => expect(may(power(levels))).toBe(expected));

  test("is a creator's in room version 12, whatever the levels say, and not before", () => {
    const levels = { state_default: 100, events: { [FUNCTIONAL_MEMBERS]: 100 } };
    expect(may(power(levels, { room_version: "12" }, OWN))).toBe(true);
    expect(may(power(levels, { room_version: "12", additional_creators: [OWN] }))).toBe(true);
    expect(may(power(levels, { room_version: "12" }))).toBe(false);
    expect(may(power(levels, { room_version: "11", additional_creators: [OWN] }, OWN))).toBe(false);
  });

  test("is not taken for granted where the room does not say", () => {
    expect(may(power(null))).toBe(false);
    expect(may(NO_POWER)).toBe(false);
  });

  test("is read from the whole state, in whatever pieces it comes, with the empty state key only", () => {
    const known = powerWith(power({ users: { [OWN]: 50 } }), [
      state("m.room.name", { name: "n" }, { id: "n" }),
      state("m.room.power_levels", { users: {} }, { id: "x" }, "elsewhere"),
    ]);
    expect(may(known)).toBe(true);
  });
});
