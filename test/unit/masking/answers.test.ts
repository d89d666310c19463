import { describe, expect, it, test } from "vitest";
import {
  isPseudouser,
  maskAnswer,
  maskBytes,
  mayHoldPseudouser,
  mayNeedMasking,
  MaskingStream,
  visibleCount,
  visibleMembers,
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
const presence = (sender: string): object => ({ type: "m.presence", sender, content: { presence: "online" } });
const receiptOf = (...users: string[]): object => ({
  $e: { "m.read": Object.fromEntries(users.map((user) => [user, { ts: 1 }])) },
});
const receipt = (...users: string[]): object => ({ type: "m.receipt", content: receiptOf(...users) });
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
  test.each<[string, string, object, object]>([
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
    ["state", "memberships", [server, alice, message], [alice, message]],
    [
      "initial_sync",
      "presence and receipts; typing whatever the order",
      {
        presence: [presence("@:x"), { type: "m.presence", content: { user_id: "@:x" } }, presence("@a:x")],
        receipts: [receipt("@:x", "@a:x")],
        rooms: [{ room_id: ROOM, state: [server], messages: { chunk: [server, alice] } }],
      },
      {
        presence: [presence("@a:x")],
        receipts: [receipt("@a:x")],
        rooms: [{ room_id: ROOM, state: [], messages: { chunk: [alice] } }],
      },
    ],
    [
      "events",
      "who types and has read",
      { chunk: [{ content: { user_ids: ["@:x", "@a:x"] }, type: "m.typing" }, receipt("@:x"), presence("@:x")] },
      { chunk: [{ content: { user_ids: ["@a:x"] }, type: "m.typing" }, receipt()] },
    ],
    ["keys_changes", "devices", { changed: ["@:x", "@a:x"], left: ["@:y"] }, { changed: ["@a:x"], left: [] }],
    [
      "search",
      "state, profiles; not what it said, nor the group of it",
      {
        search_categories: {
          room_events: {
            results: [
              { result: message, context: { profile_info: { "@:x": {}, "@a:x": {} }, events_before: [server] } },
            ],
            state: { [ROOM]: [server, alice] },
            groups: { sender: { "@:example.org": { results: ["$e"] } } },
          },
        },
      },
      {
        search_categories: {
          room_events: {
            results: [{ result: message, context: { profile_info: { "@a:x": {} }, events_before: [] } }],
            state: { [ROOM]: [alice] },
            groups: { sender: { "@:example.org": { results: ["$e"] } } },
          },
        },
      },
    ],
    [
      "user_directory",
      "users",
      { results: [{ user_id: "@:x" }, { user_id: "@a:x" }] },
      { results: [{ user_id: "@a:x" }] },
    ],
    [
      "sliding_sync",
      "extensions",
      {
        extensions: {
          receipts: { rooms: { [ROOM]: { content: receiptOf("@:x"), type: "m.receipt" } } },
          typing: { rooms: { [ROOM]: { type: "m.typing", content: { user_ids: ["@:x"] } } } },
          e2ee: { device_lists: { changed: ["@:x"] } },
        },
      },
      {
        extensions: {
          receipts: { rooms: { [ROOM]: { content: receiptOf(), type: "m.receipt" } } },
          typing: { rooms: { [ROOM]: { type: "m.typing", content: { user_ids: [] } } } },
          e2ee: { device_lists: { changed: [] } },
        },
      },
    ],
    ...["io.element.functional_members", "m.room.power_levels", "m.direct"].map(
      (type): [string, string, object, object] => {
        const event = {
          type,
          state_key: "",
          content: { service_members: ["@:x"], users: { "@:x": 100 }, "@:x": [ROOM] },
        };
        return ["content", `not in what users wrote: ${type}`, { chunk: [event], event }, { chunk: [event], event }];
      },
    ),
  ])("%s: %s", (_where, _what, answer, expected) => {
    expect(maskAnswer(answer, hidden)).toEqual(expected);
    const masked = maskBytes(new TextEncoder().encode(JSON.stringify(answer)), hidden);
    expect(new TextDecoder().decode(masked)).toBe(JSON.stringify(expected));
  });
});

describe("a sync without pseudousers", () => {
  const synced = (section: string, room: object): object => ({
    next_batch: "s",
    rooms: { [section]: { [ROOM]: room } },
  });
  const masked = (section: string, room: object, known: Hidden = hidden): object =>
    maskAnswer(synced(section, room), known);

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
    expect(maskAnswer(answer, { counts })).toEqual({
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
    expect(maskAnswer({ pos: "1", rooms: { [ROOM]: room } }, known)).toEqual({
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
    expect(mayNeedMasking(sync)).toBe(true);
    expect(mayNeedMasking(bytes('{"notification_count":5,"highlight_count":1}'))).toBe(false);
    expect(mayNeedMasking(bytes('{"joined_count":5}'))).toBe(true);
    expect(mayNeedMasking(bytes('{"num_joined_members":5}'))).toBe(true);
  });
});

describe("an answer in pieces", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const large = (count: number, of: (index: number) => object): object => ({
    state: Array.from({ length: count }, (_, index) => of(index)),
  });

  it("goes on as it comes, and little of it is held", () => {
    const answer = large(3_000, (index) => (index % 3 === 0 ? server : join(`@user${index}:x`)));
    const json = bytes(JSON.stringify(answer));
    const stream = new MaskingStream(hidden);
    let [came, gone, held] = [0, 0, 0];
    const parts: Uint8Array[] = [];
    for (; came < json.length; came += 1_000) {
      parts.push(stream.push(json.subarray(came, came + 1_000)));
      gone += parts.at(-1)?.length ?? 0;
      // What was left out is a third.
      held = Math.max(held, (came + 1_000) * (2 / 3) - gone);
    }
    parts.push(stream.end());
    expect(held).toBeLessThan(5_000);
    expect(JSON.parse(new TextDecoder().decode(Buffer.concat(parts)))).toEqual(maskAnswer(answer, hidden));
  });

  it("holds no element without an end, and masks the lists in it", () => {
    const room = { room_id: ROOM, ...large(2_000, (index) => (index === 1_500 ? server : join(`@user${index}:x`))) };
    const stream = new MaskingStream(hidden, 10_000);
    const json = bytes(JSON.stringify({ rooms: [room] }));
    const text = Buffer.concat([stream.push(json), stream.end()]).toString("utf8");
    expect(text).toBe(JSON.stringify(maskAnswer({ rooms: [room] }, hidden)));
    expect(text).not.toContain("@:");
  });

  it("keeps counts whose room is told after them, and what is new of a timeline after it", () => {
    const room = { num_joined_members: 7, topic: "x".repeat(500), room_id: ROOM };
    const live = { [ROOM]: { num_live: 2, timeline: [message, server] } };
    for (const answer of [room, { chunk: [room] }, live]) {
      const stream = new MaskingStream(hidden);
      const json = bytes(JSON.stringify(answer));
      const parts = [...json].map((_, at) => stream.push(json.subarray(at, at + 1)));
      expect(JSON.parse(Buffer.concat([...parts, stream.end()]).toString("utf8"))).toEqual(maskAnswer(answer, hidden));
      expect(maskAnswer(answer, hidden)).not.toBe(answer);
    }
  });

  test.each([
    ['{"a":["@:x","b"', '{"a":["b"'],
    ['{"a":["@:x"', '{"a":["@:x"'],
    ['{"a" "@:x"}', '{"a" "@:x"}'],
    ['["@:x"] ["@:y"]', '[] ["@:y"]'],
    ['"@:x"]', '"@:x"]'],
  ])("that is no JSON goes on as it is from where that shows: %s", (text, expected) => {
    const stream = new MaskingStream(hidden);
    expect(Buffer.concat([stream.push(bytes(text)), stream.end()]).toString("utf8")).toBe(expected);
    expect(stream.isWhole).toBe(false);
    expect(maskBytes(bytes(text), hidden)).toEqual(bytes(text));
  });
});
