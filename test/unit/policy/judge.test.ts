import { describe, expect, test } from "vitest";
import { HOLDER_KINDS } from "../../../src/model/lease.ts";
import type { VerdictCode } from "../../../src/model/verdict.ts";
import { judge, type Question, type RoomLook } from "../../../src/policy/judge.ts";

const OPEN: RoomLook = { joinRule: "public", worldReadable: false, joinedMembers: 10, version: "11", encryption: null };
const CLOSED: RoomLook = { ...OPEN, joinRule: "invite" };

function question(more: Partial<Question> = {}): Question {
  return {
    stage: "take",
    kind: "tenant",
    word: null,
    ownMembership: null,
    look: OPEN,
    vouched: false,
    standings: [],
    aclDenies: null,
    coolDown: null,
    upgrades: 0,
    roomsAttended: 3,
    joinsUnderWay: 0,
    shortage: null,
    now: 0,
    limits: { maxRooms: 5, maxMembers: 100, maxJoinsUnderWay: 7, refuseVersions: ["1"] },
    ...more,
  };
}

describe("may the pseudouser be in the room?", () => {
  test.each<[string, Partial<Question>, VerdictCode]>([
    ["a public room", {}, "allowed"],
    ["a public room whose size nobody tells", { look: { ...OPEN, joinedMembers: null } }, "allowed"],
    ["an encrypted public room", { look: { ...OPEN, encryption: "m.megolm.v1.aes-sha2" } }, "allowed"],

    ["one below the cap on rooms", { roomsAttended: 4 }, "allowed"],
    ["at the cap on rooms", { roomsAttended: 5 }, "room-cap"],
    ["at the cap, in a room that we are in", { roomsAttended: 5, ownMembership: "join" }, "allowed"],
    ["at the cap, in a room that we were in", { roomsAttended: 5, ownMembership: "leave" }, "room-cap"],
    ["at the cap, for the operator", { roomsAttended: 5, kind: "operator" }, "room-cap"],

    ["a room that cannot be seen", { look: null }, "not-visible"],
    ["a room that cannot be seen, for the operator", { look: null, kind: "operator" }, "allowed"],

    ["a room as large as may be", { look: { ...OPEN, joinedMembers: 100 } }, "allowed"],
    ["a room that is larger", { look: { ...OPEN, joinedMembers: 101 } }, "member-cap"],
    [
      "a room that grew while we are in it",
      { look: { ...OPEN, joinedMembers: 101 }, ownMembership: "join" },
      "allowed",
    ],
    ["a room that is larger, for the operator", { look: { ...OPEN, joinedMembers: 101 }, kind: "operator" }, "allowed"],

    ["a room by invitation", { look: { ...OPEN, joinRule: "invite" } }, "join-rule"],
    ["a room by invitation, with one", { look: { ...OPEN, joinRule: "invite" }, ownMembership: "invite" }, "join-rule"],
    ["a room by invitation, for the operator", { look: { ...OPEN, joinRule: "invite" }, kind: "operator" }, "allowed"],
    [
      "a room that closed while we are in it",
      { look: { ...OPEN, joinRule: "invite" }, ownMembership: "join" },
      "join-rule",
    ],
    ["a room for knocking", { look: { ...OPEN, joinRule: "knock" } }, "join-rule"],
    ["a room by invitation, covered by a grant for all rooms", { look: CLOSED, word: "any" }, "join-rule"],
    ["a room by invitation, named by a grant", { look: CLOSED, word: "named" }, "allowed"],
    ["a room that cannot be seen, named by a grant", { look: null, word: "named" }, "allowed"],
    ["a room that cannot be seen, covered by a grant for all rooms", { look: null, word: "any" }, "not-visible"],
    ["a public room that no grant covers", { word: "none" }, "not-allowed"],
    ["a public room covered by a grant for all rooms", { word: "any" }, "allowed"],
    [
      "a room named by a grant that is too large",
      { word: "named", look: { ...OPEN, joinedMembers: 101 } },
      "member-cap",
    ],
    ["a room named by a grant, at the cap", { word: "named", roomsAttended: 5 }, "room-cap"],
    ["a restricted room", { look: { ...OPEN, joinRule: "restricted" } }, "join-rule"],
    ["a room without a join rule", { look: { ...OPEN, joinRule: null } }, "join-rule"],
  ])("%s", (_what, more, code) => {
    expect(judge(question(more))).toMatchObject({ code, allowed: code === "allowed" });
  });

  test("a peek is into rooms only whose history anybody may read", () => {
    expect(judge(question({ kind: "peek" })).code).toBe("not-peekable");
    expect(judge(question({ kind: "peek", look: { ...OPEN, worldReadable: true } })).code).toBe("allowed");
  });

  test.each(HOLDER_KINDS.filter((kind) => kind !== "operator"))("%s has no more right than others", (kind) => {
    const look = { ...OPEN, worldReadable: true };
    expect(judge(question({ kind, look })).code).toBe("allowed");
    expect(judge(question({ kind, look: { ...look, joinRule: "invite" } })).code).toBe("join-rule");
  });

  test("of several objections the first rule's is told", () => {
    const closed = { ...OPEN, joinRule: "invite", joinedMembers: 101 };
    expect(judge(question({ roomsAttended: 5, look: closed })).code).toBe("room-cap");
    expect(judge(question({ look: closed })).code).toBe("member-cap");
  });

  test("a refusal names the numbers and the key to turn", () => {
    expect(judge(question({ roomsAttended: 5 })).reason).toMatch(/5 rooms.*policy\.max_rooms/);
    expect(judge(question({ look: { ...OPEN, joinedMembers: 101 } })).reason).toMatch(/101.*100.*policy\.max_members/);
    expect(judge(question({ look: { ...OPEN, joinRule: "knock" } })).reason).toContain("knock");
  });

  test("the verdict carries all that it was reached by", () => {
    expect(judge(question()).inputs).toEqual({
      holder: "tenant",
      rules: [],
      word: null,
      policy_lists: [],
      acl_denies_us: null,
      refuse_versions: ["1"],
      room_version: "11",
      cool_down: null,
      cool_down_until: null,
      strikes: 0,
      upgrades: 0,
      own_membership: null,
      rooms_attended: 3,
      max_rooms: 5,
      joins_under_way: 0,
      max_joins_under_way: 7,
      visible: true,
      world_readable: false,
      joined_members: 10,
      max_members: 100,
      join_rule: "public",
      vouched: false,
      budget_used_up: null,
    });
    expect(judge(question({ look: null })).inputs).toMatchObject({ join_rule: null, world_readable: null });
  });
});
