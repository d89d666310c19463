import { expect, test } from "vitest";
import { inviteNewsIn } from "../../../src/invites/invited-users.ts";
import type { RoomEvent } from "../../../src/model/event.ts";
import type { UserId } from "../../../src/model/ids.ts";
import type { JsonValue } from "../../../src/model/json.ts";
import { ROOM_VERSION } from "../../../src/auth/version.ts";
import { ALICE, CAROL, member, message, OWN, ROOM, state } from "../../support/events.ts";

const BOT = "@_emissary_news:ours.example" as UserId;
const OTHER_PSEUDOUSER = "@:remote.example" as UserId;

const isTenants = (user: UserId): boolean => user === BOT;

function invite(user: UserId, unsigned?: JsonValue): RoomEvent {
  const event = member(user, "invite", { id: "e", sender: ALICE });
  return unsigned === undefined ? event : { ...event, unsigned: { invite_room_state: unsigned } };
}

const joinRules = (rule: JsonValue): JsonValue => [
  { type: "m.room.name", state_key: "", content: { name: "x" } },
  { type: "m.room.join_rules", state_key: "", content: { join_rule: rule } },
];

const CAROLS = { of: "user", roomId: ROOM, user: CAROL, mayBeOpen: true, told: null };
const CLOSED = { ...CAROLS, mayBeOpen: false };

const ofVersion = (version: JsonValue, rule: string): JsonValue => [
  { type: "m.room.create", state_key: "", sender: ALICE, content: { room_version: version } },
  { type: "m.room.join_rules", state_key: "", content: { join_rule: rule } },
];
const told = { version: ROOM_VERSION, encryption: null, worldReadable: false, joinedMembers: null };

test.each<[string, RoomEvent, unknown]>([
  ["a user of ours is invited", invite(CAROL), CAROLS],
  ["a user of ours joins, and so has answered", member(CAROL, "join", { id: "e" }), CAROLS],
  ["a user of ours declines", member(CAROL, "leave", { id: "e" }), CAROLS],
  ["an invite of a user of ours is taken back", member(CAROL, "leave", { id: "e", sender: ALICE }), CAROLS],
  ["a user of ours is banned", member(CAROL, "ban", { id: "e", sender: ALICE }), CAROLS],
  ["the invite says that the room is public", invite(CAROL, joinRules("public")), CAROLS],
  ["the invite says that the room is not", invite(CAROL, joinRules("invite")), CLOSED],
  ["the invite says that it is for members of another", invite(CAROL, joinRules("restricted")), CLOSED],
  ["the invite says nothing sensible of the join rule", invite(CAROL, joinRules(7)), CAROLS],
  ["the invite brings no join rule", invite(CAROL, [{ type: "m.room.join_rules" }, null, 3]), CAROLS],
  ["the invite brings something else than state", invite(CAROL, { "m.room.join_rules": {} }), CAROLS],
  ...["peekable", "invite", "restricted"].map((joinRule): [string, RoomEvent, unknown] => [
    `the invite says that it vouches for the pseudouser, the join rule being ${joinRule}`,
    invite(CAROL, ofVersion(ROOM_VERSION, joinRule)),
    { ...CAROLS, told: { ...told, joinRule } },
  ]),
  [
    "the invite says so of no join rule",
    invite(CAROL, [{ type: "m.room.create", content: { room_version: ROOM_VERSION } }]),
    {
      ...CAROLS,
      told: { ...told, joinRule: null },
    },
  ],
  [
    "the invite says so of a rule in a version that does not know it",
    invite(CAROL, ofVersion("12", "peekable")),
    CLOSED,
  ],
  ["the invite says nothing sensible of the version", invite(CAROL, ofVersion([ROOM_VERSION], "invite")), CLOSED],
  ["the pseudouser is invited", invite(OWN), { of: "us", roomId: ROOM }],
  ["the pseudouser joins", member(OWN, "join", { id: "e" }), null],
  ["a tenant's user is invited", invite(BOT), null],
  ["a user of another server is invited", invite(ALICE), null],
  ["another server's pseudouser is invited", invite(OTHER_PSEUDOUSER), null],
  ["nobody's name is invited", state("m.room.member", { membership: "invite" }, { id: "e" }, "carol"), null],
  ["somebody says something", message({ id: "e" }), null],
  ["a membership is no state", { ...invite(CAROL), state_key: undefined } as unknown as RoomEvent, null],
])("%s", (_what, event, news) => {
  expect(inviteNewsIn(event, { own: OWN, isTenants })).toEqual(news);
});
