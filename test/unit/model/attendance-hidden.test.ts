/** Which memberships are no tenant's business, whoever looks. */
import { describe, expect, test } from "vitest";
import type { UserId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { isAttendance, jsonFromWire } from "../../../src/model/persona.ts";
import { OWN } from "../../support/events.ts";
import { tenant, viewer } from "../../support/tenants.ts";

const IRC = tenant("irc");
const GHOST = "@_irc_cat:ours.example" as UserId;
const ALICE = "@alice:b.example";
const EYES = viewer(IRC, [GHOST]);
const MARK = { "org.matrix.msc1777.on_behalf_of": "irc" };

function member(sender: string, key: string, membership: string, more: JsonObject = {}): JsonObject {
  return { type: "m.room.member", sender, state_key: key, content: { membership, ...more } };
}

describe("a membership", () => {
  test.each([
    ["the pseudouser joins", OWN, OWN, "join", {}, true],
    ["the pseudouser leaves", OWN, OWN, "leave", {}, true],
    ["the pseudouser's profile changes", OWN, OWN, "join", { displayname: "x" }, true],
    ["somebody invites the pseudouser", ALICE, OWN, "invite", {}, true],
    ["a tenant's user lets it in", GHOST, OWN, "invite", MARK, true],
    ["somebody kicks the pseudouser", ALICE, OWN, "leave", {}, false],
    ["somebody bans the pseudouser", ALICE, OWN, "ban", {}, false],
    ["a tenant's user comes in for a moment", GHOST, GHOST, "join", MARK, true],
    ["a tenant's user goes again", GHOST, GHOST, "leave", MARK, true],
    ["a bridge's ghost that is really there joins", GHOST, GHOST, "join", {}, false],
    ["somebody invites a tenant's user", ALICE, GHOST, "invite", {}, false],
    ["somebody invites a tenant's user with our mark", ALICE, GHOST, "invite", MARK, false],
    ["somebody joins", ALICE, ALICE, "join", {}, false],
    ["somebody joins with our mark, to be seen by nobody", ALICE, ALICE, "join", MARK, false],
    ["a tenant bans somebody", OWN, ALICE, "ban", MARK, false],
  ])("by which %s is attendance's: %s of %s, %s, %j", (_what, sender, key, membership, more, isHidden) => {
    expect(isAttendance(member(sender, key, membership, more), EYES)).toBe(isHidden);
  });

  test("that puts the pseudouser out is the tenant's sender's; one that a tenant sets is its user's", () => {
    expect(jsonFromWire(member(ALICE, OWN, "ban"), EYES)["state_key"]).toBe(IRC.sender);
    const content = { ...MARK, "org.matrix.msc1777.persona": GHOST, reason: "spam" };
    expect(jsonFromWire(member(OWN, ALICE, "ban", content), EYES)).toEqual(
      member(GHOST, ALICE, "ban", { reason: "spam" }),
    );
  });
});
