import { describe, expect, test } from "vitest";
import { eventFault, isRoomEvent } from "../../../src/model/event.ts";
import { message, state } from "../../support/events.ts";

const sound = { ...message({ id: "1" }) };

describe("a room event", () => {
  test.each<[string, object]>([
    ["a message", message({ id: "1" })],
    ["a state event", state("m.room.name", { name: "N" }, { id: "1" })],
    ["an empty content", { ...sound, content: {} }],
    ["an empty state key", { ...sound, state_key: "" }],
    ["fields that we do not know", { ...sound, "org.example.more": [1] }],
    ["an ID of room version 1", { ...sound, event_id: "$1:example.org" }],
    ["a room of version 12", { ...sound, room_id: "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM" }],
    ["a pseudouser as sender", { ...sound, sender: "@:remote.example" }],
    ["a type of a prototype's name", { ...sound, type: "__proto__" }],
  ])("may be %s", (_what, event) => expect(eventFault(event)).toBeNull());

  test.each<[unknown, string]>([
    [null, "not an object"],
    [7, "not an object"],
    ["event", "not an object"],
    [[], "not an object"],
    [{}, "event_id is missing or malformed"],
    [{ ...sound, event_id: undefined }, "event_id is missing or malformed"],
    [{ ...sound, event_id: 1 }, "event_id is missing or malformed"],
    [{ ...sound, event_id: "1" }, "event_id is missing or malformed"],
    [{ ...sound, room_id: "#alias:example.org" }, "room_id is missing or malformed"],
    [{ ...sound, room_id: null }, "room_id is missing or malformed"],
    [{ ...sound, sender: "alice" }, "sender is missing or malformed"],
    [{ ...sound, sender: ["@alice:example.org"] }, "sender is missing or malformed"],
    [{ ...sound, type: "" }, "type is missing or not a string"],
    [{ ...sound, type: {} }, "type is missing or not a string"],
    [{ ...sound, origin_server_ts: "1" }, "origin_server_ts is missing or not a number"],
    [{ ...sound, content: null }, "content is missing or not an object"],
    [{ ...sound, content: [] }, "content is missing or not an object"],
    [{ ...sound, content: "x" }, "content is missing or not an object"],
    [{ ...sound, state_key: null }, "state_key is not a string"],
    [{ ...sound, state_key: 0 }, "state_key is not a string"],
    [{ ...sound, unsigned: null }, "unsigned is not an object"],
    [{ ...sound, unsigned: [] }, "unsigned is not an object"],
  ])("is not %j: %s", (thing, fault) => {
    expect(eventFault(thing)).toBe(fault);
    expect(isRoomEvent(thing)).toBe(false);
  });

  // 1e999 is a number in JSON and Infinity here. Written again it becomes null, which is no event any more.
  test("has a time that can be written again as it was read", () => {
    const thing: unknown = JSON.parse(
      JSON.stringify(sound).replace(/"origin_server_ts":\d+/, '"origin_server_ts":1e999'),
    );
    expect(isRoomEvent(thing) && !isRoomEvent(JSON.parse(JSON.stringify(thing)))).toBe(false);
  });
});
