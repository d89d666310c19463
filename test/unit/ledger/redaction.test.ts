import { describe, expect, test } from "vitest";
import { becauseOf, pruned, redactedBy, redactedContent, withoutPrevious } from "../../../src/ledger/redaction.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { EventId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { ALICE, member, message, OWN, state } from "../../support/events.ts";

const VERSIONS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
const from = (first: number): string[] => VERSIONS.slice(first - 1);

/** Each key of the specification's lists, and the versions in which a redaction keeps it ("Redactions" in rooms/v1.md to v12.md). */
const KEPT: readonly (readonly [type: string, key: string, value: JsonObject[string], versions: string[]])[] = [
  ["m.room.member", "membership", "join", VERSIONS],
  ["m.room.member", "join_authorised_via_users_server", ALICE, from(9)],
  ["m.room.member", "displayname", "x", []],
  ["m.room.member", "avatar_url", "mxc://x/y", []],
  ["m.room.member", "reason", "x", []],
  ["m.room.create", "creator", ALICE, VERSIONS],
  ["m.room.create", "room_version", "x", from(11)],
  ["m.room.create", "predecessor", {}, from(11)],
  ["m.room.join_rules", "join_rule", "public", VERSIONS],
  ["m.room.join_rules", "allow", [], from(8)],
  ["m.room.power_levels", "ban", 1, VERSIONS],
  ["m.room.power_levels", "events", {}, VERSIONS],
  ["m.room.power_levels", "events_default", 1, VERSIONS],
  ["m.room.power_levels", "kick", 1, VERSIONS],
  ["m.room.power_levels", "redact", 1, VERSIONS],
  ["m.room.power_levels", "state_default", 1, VERSIONS],
  ["m.room.power_levels", "users", {}, VERSIONS],
  ["m.room.power_levels", "users_default", 1, VERSIONS],
  ["m.room.power_levels", "invite", 1, from(11)],
  ["m.room.power_levels", "notifications", {}, []],
  ["m.room.aliases", "aliases", [], VERSIONS.slice(0, 5)],
  ["m.room.history_visibility", "history_visibility", "shared", VERSIONS],
  ["m.room.redaction", "redacts", "$x", from(11)],
  ["m.room.redaction", "reason", "x", []],
  ["m.room.message", "body", "x", []],
  ["m.room.name", "name", "x", []],
  ["m.room.canonical_alias", "alias", "x", []],
  ["m.room.encryption", "algorithm", "x", []],
  ["m.room.server_acl", "deny", [], []],
  ["m.room.tombstone", "replacement_room", "x", []],
  ["constructor", "name", "x", []],
];

describe("a redaction keeps", () => {
  test.each(KEPT)("of %s the key %s where its room's version does", (type, key, value, versions) => {
    const keeping = VERSIONS.filter((version) => key in redactedContent(type, { [key]: value }, version));
    expect(keeping).toEqual(versions);
  });

  test("of a third-party invite what it was signed with, from version 11 on", () => {
    const content = { third_party_invite: { display_name: "x", signed: { token: "t" } } };
    const kept = VERSIONS.filter(
      (version) => "third_party_invite" in redactedContent("m.room.member", content, version),
    );
    expect(kept).toEqual(["11", "12"]);
    expect(redactedContent("m.room.member", content, "12")).toEqual({ third_party_invite: { signed: { token: "t" } } });
  });

  test("what the version keeps that another is built on; what the newest does where none is known", () => {
    const vouched = "org.matrix.msc1777.vouched_for_by";
    const content = { membership: "join", [vouched]: ALICE, displayname: "x" };
    expect(redactedContent("m.room.member", content, "org.matrix.msc1777.12")).toEqual({
      membership: "join",
      [vouched]: ALICE,
    });
    for (const version of [null, "unheard", "org.example.13", "12"]) {
      expect(redactedContent("m.room.power_levels", { invite: 1 }, version)).toEqual({ invite: 1 });
      expect(redactedContent("m.room.member", content, version)).toEqual({ membership: "join" });
    }
  });
});

describe("a redaction names", () => {
  const redaction = (redacts?: string, inContent?: string): RoomEvent => ({
    ...message({ id: "r" }),
    type: "m.room.redaction",
    content: inContent === undefined ? {} : { redacts: inContent },
    ...(redacts === undefined ? {} : { redacts }),
  });
  test.each([
    ["10", "$old", "$new", "$old"],
    ["11", "$old", "$new", "$new"],
    ["org.matrix.msc1777.12", "$old", "$new", "$new"],
    [null, "$old", "$new", "$old"],
    ["11", "$old", undefined, "$old"],
    ["10", undefined, "$new", "$new"],
    [null, undefined, undefined, null],
    ["12", undefined, "no event", null],
  ])("in a room of version %s that says %s outside and %s inside: %s", (version, outside, inside, named) => {
    expect(redactedBy(redaction(outside, inside), version)).toBe(named);
  });

  test("nothing where it is no redaction", () => {
    expect(redactedBy({ ...redaction("$old"), type: "m.room.message" }, "10")).toBeNull();
  });
});

test("a redacted event has nothing that its sender wrote, and says what it was redacted by, without what that one's sender wrote", () => {
  const target = "$1" as EventId;
  const because = becauseOf({ ...message({ id: "r" }, "rude"), redacts: "$1" }, target);
  const event: RoomEvent = {
    ...member(ALICE, "join", { id: "1", name: "Rude", replaces: "0" }),
    redacts: "rude",
    unsigned: { age: 5, replaces_state: "$0", prev_content: { displayname: "Rude" }, transaction_id: "rude" },
  };
  const left = pruned({ ...event, more: "rude" } as RoomEvent, "11", because);
  expect(left).toMatchObject({
    content: { membership: "join" },
    state_key: ALICE,
    unsigned: { age: 5, replaces_state: "$0", redacted_because: { event_id: "$r", redacts: "$1" } },
  });
  expect(JSON.stringify(left)).not.toMatch(/rude/i);
  expect(pruned(left, "11", { other: true })).toBe(left);
});

test("the event that a room rests on stays", () => {
  const create = state("m.room.create", { room_version: "10" }, { id: "c", sender: OWN });
  expect(pruned(create, "10", {})).toBe(create);
});

test("an event that replaced a redacted one does not tell what that one held", () => {
  const event: RoomEvent = {
    ...message({ id: "2" }),
    type: "m.room.name",
    unsigned: { prev_content: { name: "Rude" } },
  };
  expect(withoutPrevious(event, "11").unsigned).toEqual({ prev_content: {} });
  expect(withoutPrevious(message({ id: "2" }), "11")).toEqual(message({ id: "2" }));
});
