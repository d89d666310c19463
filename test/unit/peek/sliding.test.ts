import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergedSliding, slidingOutlineOf } from "../../../src/gateways/peek/sliding/merge.ts";
import { slidingRoom } from "../../../src/gateways/peek/sliding/room.ts";
import {
  MAX_SUBSCRIPTIONS,
  packed,
  subscriptionsOf,
  unpacked,
  unsubscribedOf,
} from "../../../src/gateways/peek/sliding/subscriptions.ts";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { stringAt, type JsonObject, type JsonValue } from "../../../src/model/json.ts";

const ROOM = "!a:x" as RoomId;
const ME = "@me:x" as UserId;

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
    expect(keys(slidingRoom(told([said]), subscription, ME, true))).toEqual(expected);
  });

  test("is told whole first, named or with who is in it, and then what came", () => {
    const subscription = subscriptionsOf({ room_subscriptions: { [ROOM]: { required_state: [["*", "*"]] } } }).get(
      ROOM,
    )!;
    const first = slidingRoom(told([said]), subscription, ME, true);
    expect(first).toMatchObject({ initial: true, limited: true, prev_batch: "t1", num_live: 0, joined_count: 3 });
    expect(first["heroes"]).toEqual(["@b:x", "@c:x"].map((id) => ({ user_id: id, displayname: id })));
    const named = state("m.room.name", "", { name: "Square" });
    expect(slidingRoom(told([named]), subscription, ME, true)).toMatchObject({ name: "Square" });
    const next = slidingRoom(told([named, said], []), subscription, ME, false);
    expect(next).toMatchObject({ name: "Square", num_live: 2, required_state: [named] });
    expect(["initial", "joined_count", "heroes"].filter((key) => key in next)).toEqual([]);
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
    const outline = slidingOutlineOf(body)!;
    expect(outline.pos).toBe("1");
    const merged = mergedSliding(body, outline, { next: "p", rooms: new Map([[ROOM, { initial: true }]]) });
    expect(JSON.parse(merged.toString())).toEqual(expected);
  });

  test.each(["", "[]", '{"pos":1}', '{"rooms":{}}', '{"pos":"1"'])("%s is left as it is", (text) => {
    expect(slidingOutlineOf(Buffer.from(text))).toBeNull();
  });
});
