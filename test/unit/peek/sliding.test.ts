import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { merged, outlineOf } from "../../../src/peek/merge.ts";
import { slidingRoom, withSpeakers } from "../../../src/peek/sliding/room.ts";
import {
  MAX_SUBSCRIPTIONS,
  packed,
  subscriptionsOf,
  unpacked,
  unsubscribedOf,
} from "../../../src/peek/sliding/subscriptions.ts";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { stringAt, type JsonObject, type JsonValue } from "../../../src/model/json.ts";

const ROOM = "!a:x" as RoomId;
const ME = "@me:x" as UserId;
const LOOKING = { roomId: ROOM, userId: ME };

describe("subscriptions", () => {
  test("come out of a token as they went in, whatever a client writes", () => {
    const pair = fc.oneof(fc.tuple(fc.string(), fc.string()), fc.jsonValue());
    const wanted = fc.oneof(
      fc.record({ timeline_limit: fc.jsonValue(), required_state: fc.array(pair) }),
      fc.record({ timeline_limit: fc.integer(), required_state: fc.array(pair) }),
      fc.jsonValue(),
    );
    const rooms = fc.dictionary(
      fc.nat(60).map((n) => `!${n}:x`),
      wanted,
    );
    fc.assert(
      fc.property(rooms, (room_subscriptions) => {
        const found = subscriptionsOf(JSON.parse(JSON.stringify({ room_subscriptions })) as JsonObject);
        expect(found.size).toBeLessThanOrEqual(MAX_SUBSCRIPTIONS);
        expect(unpacked(JSON.parse(JSON.stringify(packed(found))) as JsonValue)).toEqual(found);
        for (const { limit } of found.values()) expect(limit >= 1 && limit <= 100).toBe(true);
      }),
    );
  });

  test("that nobody packed here are none", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(unpacked(value as JsonValue)).toEqual(new Map());
      }),
    );
    expect(unsubscribedOf({ unsubscribe_rooms: [ROOM, 1, null] })).toEqual(new Set([ROOM]));
  });
});

describe("a peeked room in sliding sync", () => {
  const state = (type: string, state_key: string, content: JsonObject, sender = "@o:x"): JsonObject => ({
    event_id: `$${type}${state_key}`,
    type,
    state_key,
    sender,
    content,
  });
  const said: JsonObject = { event_id: "$m", type: "m.room.message", sender: "@b:x", content: { body: "hi" } };
  const members = ["@b:x", "@c:x", ME].map((id) => state("m.room.member", id, { membership: "join", displayname: id }));
  const all = [state("m.room.create", "", {}), state("m.room.topic", "", { topic: "t" }), ...members];
  const told = (events: JsonObject[], before: JsonObject[] = all): JsonObject => ({
    state: { events: before },
    timeline: { events, limited: true, prev_batch: "t1" },
  });
  const keys = (room: JsonObject): unknown[] =>
    (room["required_state"] as JsonObject[]).map(
      (event) => `${stringAt(event, "type")} ${stringAt(event, "state_key")}`,
    );

  test.each([
    ["one by name", [["m.room.create", ""]], ["m.room.create "]],
    ["all of a type", [["m.room.member", "*"]], ["m.room.member @b:x", "m.room.member @c:x", `m.room.member ${ME}`]],
    ["who spoke", [["m.room.member", "$LAZY"]], ["m.room.member @b:x"]],
    ["the user's own", [["m.room.member", "$ME"]], [`m.room.member ${ME}`]],
    ["none", [], []],
  ])("has of its state %s", (_what, required_state, expected) => {
    const subscription = subscriptionsOf({ room_subscriptions: { [ROOM]: { required_state } } }).get(ROOM)!;
    expect(keys(slidingRoom(told([said]), subscription, LOOKING, true))).toEqual(expected);
  });

  test("is told whole first, named or with who is in it, and then what came", () => {
    const subscription = subscriptionsOf({ room_subscriptions: { [ROOM]: { required_state: [["*", "*"]] } } }).get(
      ROOM,
    )!;
    const first = slidingRoom(told([said]), subscription, LOOKING, true);
    expect(first).toMatchObject({ initial: true, limited: true, prev_batch: "t1", num_live: 0, joined_count: 3 });
    expect(first["heroes"]).toEqual(["@b:x", "@c:x"].map((id) => ({ user_id: id, displayname: id })));
    const named = state("m.room.name", "", { name: "Square" });
    expect(slidingRoom(told([named]), subscription, LOOKING, true)).toMatchObject({ name: "Square" });
    const next = slidingRoom(told([named, said], []), subscription, LOOKING, false);
    expect(next).toMatchObject({ name: "Square", num_live: 2 });
    expect(keys(next)).toEqual(["m.room.name ", `m.room.member ${ME}`]);
    expect(["initial", "joined_count", "heroes"].filter((key) => key in next)).toEqual([]);
  });
});

describe("whoever looks into a room", () => {
  const own = (membership: string): JsonObject => ({
    event_id: "$own",
    type: "m.room.member",
    state_key: ME,
    sender: ME,
    content: { membership },
  });
  const said: JsonObject = { event_id: "$m", type: "m.room.message", sender: "@b:x", content: {} };
  const told = (state: JsonObject[], events: JsonObject[]): JsonObject => ({
    state: { events: state },
    timeline: { events },
  });
  const asking = (...keys: string[]) => {
    const required_state = keys.map((key) => ["m.room.member", key]);
    return subscriptionsOf({ room_subscriptions: { [ROOM]: { required_state } } }).get(ROOM)!;
  };

  // Each answer is by itself: a client has no other place to see it in.
  test.each([
    ["the first", told([], [said]), true],
    ["one with news", told([], [said]), false],
    ["one without", told([], []), false],
  ])("is said to be outside in %s answer, where the client asks for that", (_which, room, isInitial) => {
    for (const key of ["$ME", ME, "*"]) {
      const answer = slidingRoom(room, asking(key), LOOKING, isInitial);
      expect(answer["required_state"]).toMatchObject([{ state_key: ME, sender: ME, content: { membership: "leave" } }]);
      expect(answer).not.toMatchObject({ heroes: [{ user_id: ME }] });
    }
    for (const keys of [[], ["$LAZY"], ["@b:x"]]) {
      expect(slidingRoom(room, asking(...keys), LOOKING, isInitial)["required_state"]).toEqual([]);
    }
  });

  test("is told what really became of a membership, and nothing beside", () => {
    for (const room of [told([own("leave")], []), told([], [own("leave")])]) {
      expect(slidingRoom(room, asking("$ME"), LOOKING, true)["required_state"]).toEqual([own("leave")]);
    }
  });

  test("has one such event in each room", () => {
    const id = (roomId: string, userId: string): unknown => {
      const looking = { roomId: roomId as RoomId, userId: userId as UserId };
      const [event] = slidingRoom(told([], []), asking("*"), looking, true)["required_state"] as JsonObject[];
      return event?.["event_id"];
    };
    const all = [id(ROOM, ME), id(ROOM, "@b:x"), id("!b:x", ME)];
    expect(new Set(all).size).toBe(3);
    expect(id(ROOM, ME)).toBe(all[0]);
    for (const one of all) expect(one).toMatch(/^\$emissary_outside_[\w-]{43}$/);
  });
});

describe("those who speak in news of a room", () => {
  const member = (id: string): JsonObject => ({
    event_id: `$member${id}`,
    type: "m.room.member",
    state_key: id,
    sender: id,
    content: { membership: "join", displayname: id },
  });
  const said = (sender: JsonValue): JsonObject => ({ event_id: "$m", type: "m.room.message", sender, content: {} });
  const told = (events: JsonObject[], state: JsonObject[] = []): JsonObject => ({
    state: { events: state },
    timeline: { events, limited: false },
  });
  const subscribed = (required_state: JsonValue) =>
    subscriptionsOf({ room_subscriptions: { [ROOM]: { required_state } } }).get(ROOM)!;
  const lazily = subscribed([["m.room.member", "$LAZY"]]);

  test("are told as members with what they say, each once, as far as they are to be had", async () => {
    const asked: string[] = [];
    const ask = (userId: UserId): Promise<JsonObject | null> => {
      asked.push(userId);
      return Promise.resolve(userId === "@gone:x" ? null : userId === "@odd:x" ? { displayname: "x" } : member(userId));
    };
    const came = member("@new:x");
    const events = [said("@b:x"), said("@b:x"), came, said("@new:x"), said("@gone:x"), said("@odd:x"), said(1)];
    const room = await withSpeakers(told(events, [member("@c:x")]), lazily, ask);
    expect(asked.sort()).toEqual(["@b:x", "@gone:x", "@odd:x"]);
    const shown = slidingRoom(room, lazily, LOOKING, false);
    expect(shown["required_state"]).toEqual([member("@b:x"), came]);
    expect([shown["timeline"], shown["num_live"]]).toEqual([events, events.length]);
  });

  test.each([
    ["a client that wants no members", [], [said("@b:x")]],
    ["a client that wants them all", [["m.room.member", "*"]], [said("@b:x")]],
    ["news in which nobody speaks", [["m.room.member", "$LAZY"]], []],
  ])("are not asked about for %s", async (_who, required_state, events) => {
    const room = told(events);
    const ask = (): Promise<JsonObject | null> => Promise.reject(new Error("asked"));
    expect(await withSpeakers(room, subscribed(required_state), ask)).toBe(room);
  });
});

describe("an answer to sliding sync", () => {
  test.each([
    ['{"pos":"1"}', { pos: "p", rooms: { [ROOM]: { initial: true } } }],
    [
      '{"rooms":{},"pos":"1","lists":{"a":{"pos":"x"}}}',
      { pos: "p", rooms: { [ROOM]: { initial: true } }, lists: { a: { pos: "x" } } },
    ],
    ['{"pos":"1","rooms":{"!b:x":{"pos":1}}}', { pos: "p", rooms: { [ROOM]: { initial: true }, "!b:x": { pos: 1 } } }],
  ])("%s takes rooms in", (text, expected) => {
    const body = Buffer.from(text);
    const outline = outlineOf(body, "pos")!;
    expect(outline.token).toBe("1");
    const answer = merged(body, outline, { next: "p", rooms: [[ROOM, JSON.stringify({ initial: true })]] }) as Buffer;
    expect(JSON.parse(answer.toString())).toEqual(expected);
  });

  test.each(["", "[]", '{"pos":1}', '{"rooms":{}}', '{"pos":"1"'])("%s is left as it is", (text) => {
    expect(outlineOf(Buffer.from(text), "pos")).toBeNull();
  });
});
