import { describe, expect, it, test } from "vitest";
import {
  isPseudouser,
  maskAnswer,
  mayHoldPseudouser,
  mayNeedMasking,
  MaskingScan,
  visibleCount,
  visibleMembers,
  type AnswerKind,
  type Hidden,
} from "../../../src/masking/masking.ts";

const ROOM = "!room:example.org";
const hidden: Hidden = { counts: () => ({ joined: 1, invited: 1 }) };

const join = (userId: string): object => ({
  type: "m.room.member",
  state_key: userId,
  sender: userId,
  content: { membership: "join" },
});
const message = { type: "m.room.message", sender: "@:example.org", content: { body: "from the server" } };
const [server, alice] = [join("@:example.org"), join("@alice:example.org")];

describe("who is a pseudouser", () => {
  test.each<[string, readonly string[], boolean]>([
    ["@:example.org", [], true],
    ["@:remote.example:8448", [], true],
    ["@:[::1]", [], true],
    ["@:", [], false],
    ["@", [], false],
    ["", [], false],
    ["@alice:example.org", [], false],
    ["@ :example.org", [], false],
    [":example.org", [], false],
    ["@_server:example.org", [], false],
    ["@_server:example.org", ["@_server:example.org"], true],
    ["@_server:remote.example", ["@_server:example.org"], false],
  ])("%j, besides %j: %s", (userId, also, expected) => expect(isPseudouser(userId, also)).toBe(expected));

  it("leaves the others visible, in their order, in whatever form they are held", () => {
    expect(visibleMembers(["@b:x", "@:x", "@a:x"])).toEqual(["@b:x", "@a:x"]);
    expect(visibleMembers([{ userId: "@:x" }, { userId: "@a:x", since: 1 }])).toEqual([{ userId: "@a:x", since: 1 }]);
    expect(visibleMembers([{ state_key: "@s:x" }, { state_key: "@a:x" }], ["@s:x"])).toEqual([{ state_key: "@a:x" }]);
  });

  it("is not counted, once each, as far as known", () => {
    expect(visibleCount(1000, ["@:x", "@:y", "@:x", "@a:x"])).toBe(998);
    expect(visibleCount(1, ["@:x", "@:y"])).toBe(0);
  });
});

describe("an answer without its pseudousers", () => {
  const summary = { room_id: ROOM, num_joined_members: 7, name: "Tea" };
  test.each<[AnswerKind, string, object, object]>([
    ["members", "memberships", { chunk: [server, alice] }, { chunk: [alice] }],
    ["joined_members", "users", { joined: { "@:x": { display_name: "S" }, "@a:x": {} } }, { joined: { "@a:x": {} } }],
    [
      "initial_sync",
      "memberships, and not what the pseudouser says",
      { room_id: ROOM, membership: "join", state: [server, alice], messages: { chunk: [server, message], end: "t" } },
      { room_id: ROOM, membership: "join", state: [alice], messages: { chunk: [message], end: "t" } },
    ],
    [
      "messages",
      "memberships on either side",
      { chunk: [message, server], state: [server] },
      { chunk: [message], state: [] },
    ],
    [
      "messages",
      "but for the event that was asked for",
      { event: server, events_before: [server], events_after: [server, alice] },
      { event: server, events_before: [], events_after: [alice] },
    ],
    ["room_summary", "in the count", summary, { ...summary, num_joined_members: 6 }],
    ["hierarchy", "in the counts", { rooms: [summary] }, { rooms: [{ ...summary, num_joined_members: 6 }] }],
    [
      "public_rooms",
      "in the counts",
      { chunk: [summary], total_room_count_estimate: 1 },
      { chunk: [{ ...summary, num_joined_members: 6 }], total_room_count_estimate: 1 },
    ],
  ])("%s: %s", (kind, _what, answer, expected) => expect(maskAnswer(kind, answer, hidden)).toEqual(expected));
});

describe("a sync without pseudousers", () => {
  const synced = (section: string, room: object): object => ({
    next_batch: "s",
    rooms: { [section]: { [ROOM]: room } },
  });
  const masked = (section: string, room: object, known: Hidden = hidden): object =>
    maskAnswer("sync", synced(section, room), known);

  it.each(["join", "leave", "peek"])("leaves memberships out of the state and the timeline of rooms.%s", (section) => {
    const room = { state: { events: [server, alice] }, timeline: { events: [server, message], limited: true } };
    const expected = { state: { events: [alice] }, timeline: { events: [message], limited: true } };
    expect(masked(section, room)).toEqual(synced(section, expected));
  });

  it("leaves them out of state_after (MSC4222)", () => {
    const room = { state_after: { events: [server] }, "org.matrix.msc4222.state_after": { events: [server, alice] } };
    const expected = { state_after: { events: [] }, "org.matrix.msc4222.state_after": { events: [alice] } };
    expect(masked("join", room)).toEqual(synced("join", expected));
  });

  it("lowers counts where there are any", () => {
    const both = { summary: { "m.joined_member_count": 3, "m.invited_member_count": 1 } };
    const less = { summary: { "m.joined_member_count": 2, "m.invited_member_count": 0 } };
    expect(masked("join", both)).toEqual(synced("join", less));
    expect(masked("join", { summary: {} })).toEqual(synced("join", { summary: {} }));
  });

  it("names others in place of pseudousers among the heroes, if somebody knows whom", () => {
    const room = { summary: { "m.heroes": ["@:x", "@a:x", "@:y"] } };
    expect(masked("join", room)).toEqual(synced("join", { summary: { "m.heroes": ["@a:x"] } }));
    const knowing = { ...hidden, heroes: () => ["@a:x", "@:z", "@b:x", "@b:x", "@c:x", "@d:x"] };
    expect(masked("join", room, knowing)).toEqual(
      synced("join", { summary: { "m.heroes": ["@a:x", "@b:x", "@c:x"] } }),
    );
  });

  it("asks for the counts of the room that it is about", () => {
    const counts = (roomId: string): { joined: number; invited: number } => ({
      joined: roomId === ROOM ? 2 : 0,
      invited: 0,
    });
    const room = { summary: { "m.joined_member_count": 5 } };
    const answer = { rooms: { join: { [ROOM]: room, "!other:x": room } } };
    expect(maskAnswer("sync", answer, { counts })).toEqual({
      rooms: { join: { [ROOM]: { summary: { "m.joined_member_count": 3 } }, "!other:x": room } },
    });
  });

  it("shows who invites, pseudouser or not, and no other one", () => {
    const other = join("@:remote.example");
    const invite = {
      type: "m.room.member",
      state_key: "@me:x",
      sender: "@:example.org",
      content: { membership: "invite" },
    };
    const room = { invite_state: { events: [server, other, alice, invite] } };
    expect(masked("invite", room)).toEqual(synced("invite", { invite_state: { events: [server, alice, invite] } }));
    const knock = { knock_state: { events: [server, alice] } };
    expect(masked("knock", knock)).toEqual(synced("knock", { knock_state: { events: [alice] } }));
  });

  it("is the same with sliding sync, where of the new events the masked ones are no longer counted", () => {
    const room = {
      heroes: [{ user_id: "@:x", displayname: "S" }, { user_id: "@a:x" }],
      joined_count: 9,
      invited_count: 1,
      required_state: [server, alice],
      timeline: [server, message, server, message],
      num_live: 2,
    };
    const known = { ...hidden, heroes: () => ["@b:x"] };
    expect(maskAnswer("sliding_sync", { pos: "1", rooms: { [ROOM]: room } }, known)).toEqual({
      pos: "1",
      rooms: {
        [ROOM]: {
          heroes: [{ user_id: "@a:x" }, { user_id: "@b:x" }],
          joined_count: 8,
          invited_count: 0,
          required_state: [alice],
          timeline: [message, message],
          num_live: 1,
        },
      },
    });
  });
});

describe("the search for bytes", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  test.each<[string, readonly string[], boolean]>([
    ['{"sender":"@:example.org"}', [], true],
    ['"@:x', [], true],
    ['{"sender":"@alice:example.org"}', [], false],
    ['{"body":"write to @:example.org"}', [], false],
    ['@:"@', [], false],
    ["", [], false],
    ['["@_server:x"]', [], false],
    ['["@_server:x"]', ["@_server:x"], true],
    ['["@_server:xy"]', ["@_server:x"], false],
  ])("%j, besides %j: %s", (text, also, expected) => expect(mayHoldPseudouser(bytes(text), also)).toBe(expected));

  it("looks for counts too, which include pseudousers that the answer does not name", () => {
    const sync = bytes('{"summary":{"m.joined_member_count":5}}');
    expect(mayHoldPseudouser(sync)).toBe(false);
    expect(mayNeedMasking("sync", sync)).toBe(true);
    expect(mayNeedMasking("members", sync)).toBe(false);
    expect(mayNeedMasking("sliding_sync", bytes('{"joined_count":5}'))).toBe(true);
    expect(mayNeedMasking("public_rooms", bytes('{"num_joined_members":5}'))).toBe(true);
  });

  it("finds what stands across pieces, be they of a byte each", () => {
    const scan = new MaskingScan("members");
    expect(Array.from('[{"a":"@:').map((letter) => scan.add(bytes(letter)))).toEqual([
      ...Array<boolean>(8).fill(false),
      true,
    ]);
    expect(scan.add(bytes("}"))).toBe(true);
  });
});
