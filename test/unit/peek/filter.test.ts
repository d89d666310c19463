import { describe, expect, test } from "vitest";
import { peekFilter } from "../../../src/peek/msc2753/filter.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import type { JsonObject } from "../../../src/model/json.ts";

const ROOM = "!a:b" as RoomId;
const EVENT = { type: "m.room.message", sender: "@x:b", room_id: ROOM };

describe("a client's filter", () => {
  test.each<readonly [JsonObject, number]>([
    [{}, 20],
    [{ room: { timeline: { limit: 5 } } }, 5],
    [{ room: { timeline: { limit: 5_000 } } }, 100],
    [{ room: { timeline: { limit: 0 } } }, 20],
    [{ room: { timeline: { limit: "5" } } }, 20],
    [{ room: [] }, 20],
  ])("%j has so many events told: %i", (filter, limit) => expect(peekFilter(filter).limit).toBe(limit));

  test.each<readonly [JsonObject, boolean]>([
    [{}, true],
    [{ types: ["m.room.message"] }, true],
    [{ types: ["m.*"] }, true],
    [{ types: ["*message"] }, true],
    [{ types: ["m.*.*age"] }, true],
    [{ types: ["m.room.message*room.message"] }, false],
    [{ types: [] }, false],
    [{ types: ["m.*"], not_types: ["m.room.*"] }, false],
    [{ senders: ["@x:b"] }, true],
    [{ senders: ["@*:b"] }, false],
    [{ not_senders: ["@x:b"] }, false],
    [{ rooms: ["!other:b"] }, false],
  ])("for events, %j, lets a message through: %s", (timeline, lets) => {
    expect(peekFilter({ room: { timeline } }).hasEvent(EVENT)).toBe(lets);
    expect(peekFilter({ room: { state: timeline } }).hasState(EVENT)).toBe(lets);
  });

  test.each<readonly [JsonObject, boolean]>([
    [{ rooms: [ROOM] }, true],
    [{ rooms: ["!other:b"] }, false],
    [{ not_rooms: [ROOM] }, false],
  ])("for rooms, %j, lets the room through: %s", (room, lets) => expect(peekFilter({ room }).hasRoom(ROOM)).toBe(lets));
});
