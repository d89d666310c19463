import { describe, expect, test } from "vitest";
import { foldEvent, ROOM_FIELDS } from "../../../src/ledger/fold.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { EventId, RoomId, UserId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";
import { MEMBERSHIPS } from "../../../src/model/membership.ts";
import { ALICE, BOB, member, message, NEW_ROOM, OWN, REMOTE, ROOM, state } from "../../support/events.ts";

/** What a state event makes known of its room, by field. */
function fieldsOf(type: string, content: JsonObject): Record<string, string | null> {
  const changes = foldEvent(state(type, content, { id: "1" }), OWN);
  return Object.fromEntries(
    changes.flatMap((change) => (change.kind === "state" ? [[change.field, change.value]] : [])),
  );
}

function memberChange(event: RoomEvent) {
  const [change, ...more] = foldEvent(event, OWN);
  expect(more).toEqual([]);
  return change?.kind === "member" ? change : null;
}

describe("what a state event tells of a room", () => {
  test.each<[string, JsonObject, Record<string, string | null>]>([
    [
      "m.room.create",
      { room_version: "11" },
      { version: "11", type: null, predecessor: null, created_for: null, creator: ALICE },
    ],
    ["m.room.create", {}, { version: "1", type: null, predecessor: null, created_for: null, creator: ALICE }],
    [
      "m.room.create",
      { room_version: 11, type: [] },
      { version: "1", type: null, predecessor: null, created_for: null, creator: ALICE },
    ],
    [
      "m.room.create",
      { room_version: "12", type: "m.space", predecessor: { room_id: "!old:a.example" } },
      { version: "12", type: "m.space", predecessor: "!old:a.example", created_for: null, creator: ALICE },
    ],
    [
      "m.room.create",
      { predecessor: "!old:a.example" },
      { version: "1", type: null, predecessor: null, created_for: null, creator: ALICE },
    ],
    ["m.room.name", { name: "Lobby" }, { name: "Lobby" }],
    ["m.room.name", {}, { name: null }],
    ["m.room.name", { name: { of: "x" } }, { name: null }],
    ["m.room.canonical_alias", { alias: "#lobby:a.example" }, { alias: "#lobby:a.example" }],
    ["m.room.canonical_alias", { alt_aliases: ["#lobby:a.example"] }, { alias: null }],
    ["m.room.join_rules", { join_rule: "public" }, { join_rule: "public" }],
    ["m.room.join_rules", { join_rule: 1 }, { join_rule: null }],
    ["m.room.history_visibility", { history_visibility: "world_readable" }, { history_visibility: "world_readable" }],
    [
      "m.room.server_acl",
      { deny: ["evil.example", 7], allow: ["*"], allow_ip_literals: false, more: { than: "that" } },
      { server_acl: '{"allow":["*"],"deny":["evil.example"],"allow_ip_literals":false}' },
    ],
    ["m.room.server_acl", {}, { server_acl: '{"allow":[],"deny":[],"allow_ip_literals":true}' }],
    ["m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" }, { encryption: "m.megolm.v1.aes-sha2" }],
    ["m.room.encryption", {}, { encryption: null }],
    ["m.room.tombstone", { replacement_room: NEW_ROOM }, { replacement: NEW_ROOM }],
    ["m.room.tombstone", {}, { replacement: null }],
  ])("%s %j", (type, content, fields) => expect(fieldsOf(type, content)).toEqual(fields));

  test("every field of a room is told by some event", () => {
    const types = [
      "create",
      "name",
      "canonical_alias",
      "join_rules",
      "history_visibility",
      "encryption",
      "server_acl",
      "tombstone",
    ];
    const told = types.flatMap((type) => Object.keys(fieldsOf(`m.room.${type}`, {})));
    expect(told.sort()).toEqual([...ROOM_FIELDS].sort());
  });

  test("with the event that told it, and the one that it replaced", () => {
    expect(foldEvent(state("m.room.name", { name: "N" }, { id: "2", replaces: "1" }), OWN)).toEqual([
      { kind: "state", roomId: ROOM, field: "name", value: "N", eventId: "$2", replaces: "$1" },
    ]);
  });

  test.each<[string, RoomEvent]>([
    ["a message", message({ id: "1" })],
    ["a message of a state event's type", { ...message({ id: "1" }), type: "m.room.name", content: { name: "N" } }],
    [
      "a membership without a state key",
      { ...message({ id: "1" }), type: "m.room.member", content: { membership: "join" } },
    ],
    ["a name under another state key", state("m.room.name", { name: "N" }, { id: "1" }, "x")],
    ["a type that we do not keep", state("m.room.topic", { topic: "T" }, { id: "1" })],
    ...["constructor", "__proto__", "toString", "hasOwnProperty"].map((type): [string, RoomEvent] => [
      `a type named ${type}`,
      state(type, { name: "N" }, { id: "1" }),
    ]),
  ])("nothing, by %s", (_what, event) => expect(foldEvent(event, OWN)).toEqual([]));

  test("content with a prototype's names is only content", () => {
    const content = JSON.parse('{"__proto__": {"name": "evil"}, "constructor": {}}') as JsonObject;
    expect(fieldsOf("m.room.name", content)).toEqual({ name: null });
  });
});

describe("what a membership event tells", () => {
  test.each(MEMBERSHIPS)("%s: the member's standing, whose word it is, and the profile", (membership) => {
    const event = member(ALICE, membership, { id: "2", sender: BOB, replaces: "1" });
    const content = { membership, displayname: "Alice", avatar_url: "mxc://a.example/1" };
    expect(memberChange({ ...event, content })).toEqual({
      kind: "member",
      member: {
        roomId: ROOM,
        userId: ALICE,
        membership,
        eventId: "$2",
        sender: BOB,
        displayname: "Alice",
        avatarUrl: "mxc://a.example/1",
      },
      replaces: "$1",
      own: false,
      reason: null,
      claims: null,
      ends: null,
    });
  });

  test.each<[string, JsonObject, RoomId | null]>([
    ["stripped", { type: "m.room.create", content: { predecessor: { room_id: NEW_ROOM } } }, NEW_ROOM],
    [
      "a whole event",
      { ...state("m.room.create", { predecessor: { room_id: ROOM, event_id: "$1" } }, { id: "c" }) },
      ROOM,
    ],
    ["of another type", { type: "m.room.name", content: { predecessor: { room_id: ROOM } } }, null],
    ["with no room", { type: "m.room.create", content: { predecessor: { room_id: "nonsense" } } }, null],
    ["with no object", { type: "m.room.create", content: { predecessor: [] } }, null],
    ["without content", { type: "m.room.create" }, null],
  ])("what our invite says that the room replaces, in m.room.create %s", (_what, entry, claims) => {
    const unsigned = { invite_room_state: [7, entry] };
    const invited = (user: UserId) => memberChange({ ...member(user, "invite", { id: "i", sender: BOB }), unsigned });
    expect(invited(OWN)).toMatchObject({ own: true, claims });
    expect(invited(ALICE)).toMatchObject({ own: false, claims: null });
  });

  test("a profile of other things than text is none", () => {
    const content = { membership: "join", displayname: 7, avatar_url: null };
    const change = memberChange({ ...member(ALICE, "join", { id: "1" }), content });
    expect(change?.member).toMatchObject({ displayname: null, avatarUrl: null });
  });

  test.each<[string, JsonObject, string]>([
    ["no membership", {}, ALICE],
    ["a membership that there is not", { membership: "lurk" }, ALICE],
    ["a membership that is no text", { membership: ["join"] }, ALICE],
    ["a prototype's name as membership", { membership: "constructor" }, ALICE],
    ["a state key that is no user", { membership: "join" }, "alice"],
    ["an empty state key", { membership: "join" }, ""],
    ["somebody's state key with a room's sigil", { membership: "join" }, "!alice:remote.example"],
  ])("nothing, with %s", (_what, content, user) => {
    expect(memberChange(state("m.room.member", content, { id: "1" }, user))).toBeNull();
  });

  test.each<[unknown, EventId | null]>([
    ["$1", "$1" as EventId],
    [7, null],
    [null, null],
  ])("it replaced %j, says unsigned: %j", (replaces_state, expected) => {
    const event = { ...member(ALICE, "join", { id: "2" }), unsigned: { replaces_state } } as RoomEvent;
    expect(memberChange(event)?.replaces).toBe(expected);
  });
});

describe("what our own membership means for the leases of the room", () => {
  test.each([
    ["join", OWN, null],
    ["join", ALICE, null],
    ["invite", ALICE, null],
    ["knock", OWN, null],
    ["leave", OWN, null],
    ["leave", ALICE, "kicked"],
    ["ban", ALICE, "banned"],
    ["ban", OWN, null],
  ] as const)("%s by %s: they end as %j", (membership, sender, ends) => {
    expect(memberChange(member(OWN, membership, { id: "1", sender }))).toMatchObject({ own: true, ends });
  });

  test.each([ALICE, "@:remote.example" as UserId])("a kick of %s is not ours", (user) => {
    expect(memberChange(member(user, "leave", { id: "1", sender: BOB }))).toMatchObject({ own: false, ends: null });
  });
});

describe("a tombstone", () => {
  test("is a word that another room replaces this, and the server of whoever put it up a route", () => {
    expect(foldEvent(state("m.room.tombstone", { replacement_room: NEW_ROOM }, { id: "1" }), OWN)).toContainEqual({
      kind: "upgrade",
      roomId: ROOM,
      replacement: NEW_ROOM,
      via: [REMOTE],
    });
  });

  test.each([
    {},
    { replacement_room: "" },
    { replacement_room: "#alias:a.example" },
    { replacement_room: ROOM },
    { replacement_room: 7 },
  ])("with %j moves nothing", (content) => {
    const kinds = foldEvent(state("m.room.tombstone", content, { id: "1" }), OWN).map(({ kind }) => kind);
    expect(kinds).toEqual(["state"]);
  });
});
