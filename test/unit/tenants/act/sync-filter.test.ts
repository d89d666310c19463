/** What filters leave of a sync (spec, CS API, "Filtering" and "Lazy-loading room members"). */
import { describe, expect, test } from "vitest";
import { filterIdOf, filterIn, syncFilter } from "../../../../src/tenants/sync/filter.ts";
import type { RoomEvent } from "../../../../src/model/event.ts";
import type { UserId } from "../../../../src/model/ids.ts";
import type { JsonObject } from "../../../../src/model/json.ts";
import { ALICE, BOB, CAROL, member, message, OTHER_ROOM, OWN, ROOM, state } from "../../../support/events.ts";
import { BOT, next, roomsOf, scene, stateOf, timeline } from "./sync-scene.ts";

const picture = { ...message({ id: "picture", sender: BOB }), content: { msgtype: "m.image", url: "mxc://x/y" } };
const topic = state("m.room.topic", { topic: "T" }, { id: "topic", sender: BOB });
const text = message({ id: "text" });
const other = message({ id: "other", room: OTHER_ROOM });

const TIMELINES: readonly (readonly [filter: JsonObject, shown: readonly string[]])[] = [
  [{}, ["text", "picture", "topic", "other"]],
  [{ types: ["m.room.message"] }, ["text", "picture", "other"]],
  [{ types: ["m.room.*"], not_types: ["m.room.topic"] }, ["text", "picture", "other"]],
  [{ types: [] }, []],
  [{ not_types: ["*"] }, []],
  [{ senders: [BOB] }, ["picture", "topic"]],
  [{ not_senders: [BOB] }, ["text", "other"]],
  [{ senders: [BOB], not_senders: [BOB] }, []],
  [{ rooms: [OTHER_ROOM] }, ["other"]],
  [{ not_rooms: [OTHER_ROOM] }, ["text", "picture", "topic"]],
  [{ contains_url: true }, ["picture"]],
  [{ contains_url: false }, ["text", "topic", "other"]],
  [{ limit: 1 }, ["topic", "other"]],
  [{ limit: 0 }, []],
  [{ limit: "x", types: "m.room.message", senders: 5 }, ["text", "picture", "topic", "other"]],
];

test.each(TIMELINES)("of a timeline %j leaves %j", async (filter, shown) => {
  const { sync, enters, happens } = scene();
  enters(ROOM);
  enters(OTHER_ROOM);
  const since = next(await sync(null));
  for (const event of [text, picture, topic, other]) happens(event);
  const joined = roomsOf(await sync(since, 0, { filter: { room: { timeline: filter } } }), "join");
  expect(Object.values(joined).flatMap((room) => timeline(room).map(({ event_id }) => event_id))).toEqual(
    shown.map((id) => `$${id}`),
  );
});

const STATES: readonly (readonly [filter: JsonObject, shown: readonly string[]])[] = [
  [{}, ["topic", "alice", "bob", "own"]],
  [{ types: ["m.room.topic"] }, ["topic"]],
  [{ not_types: ["m.room.member"] }, ["topic"]],
  [{ senders: [BOB] }, ["topic", "bob"]],
  [{ rooms: [OTHER_ROOM] }, []],
  [{ lazy_load_members: true, types: ["m.room.topic"] }, ["topic"]],
];

test.each(STATES)("of a room's state %j leaves %j", async (filter, shown) => {
  const { sync, enters } = scene();
  enters(ROOM, [topic, member(ALICE, "join", { id: "alice" }), member(BOB, "join", { id: "bob" })]);
  // Of an empty timeline, so that the tenant's own membership stands in the state.
  const answer = await sync(null, 0, { filter: { room: { state: filter, timeline: { limit: 0 } } } });
  const ids = stateOf(roomsOf(answer, "join")[ROOM]).map(({ event_id: id }) =>
    /lease/.test(id) ? "own" : id.slice(1),
  );
  expect(ids).toEqual(shown);
});

const ROOMS: readonly (readonly [filter: JsonObject, rooms: readonly string[]])[] = [
  [{}, [ROOM, OTHER_ROOM]],
  [{ rooms: [ROOM] }, [ROOM]],
  [{ not_rooms: [ROOM] }, [OTHER_ROOM]],
  [{ rooms: [ROOM], not_rooms: [ROOM] }, []],
  [{ rooms: [] }, []],
];

test.each(ROOMS)("of the rooms %j leaves %j, at first and later", async (filter, rooms) => {
  const { sync, enters, happens } = scene();
  enters(ROOM);
  enters(OTHER_ROOM);
  const answer = await sync(null, 0, { filter: { room: filter } });
  expect(Object.keys(roomsOf(answer, "join"))).toEqual(rooms);
  happens(text);
  happens(other);
  expect(Object.keys(roomsOf(await sync(next(answer), 0, { filter: { room: filter } }), "join"))).toEqual(rooms);
});

test("rooms that were left are told at first where that is asked for", async () => {
  const { sync, enters, ends } = scene();
  enters(ROOM);
  ends(ROOM, "kicked");
  expect(roomsOf(await sync(null), "leave")).toEqual({});
  const answer = await sync(null, 0, { filter: { room: { include_leave: true } } });
  expect(timeline(roomsOf(answer, "leave")[ROOM])).toMatchObject([{ state_key: BOT.sender }]);
});

test("what a filter leaves nothing of is no news, and is passed over", async () => {
  const { sync, enters, happens, clock } = scene();
  enters(ROOM);
  const since = next(await sync(null));
  const waiting = sync(since, 30_000, {
    filter: { room: { timeline: { types: ["m.room.message"] }, state: { types: [] } } },
  });
  await clock.advance(1);
  happens(topic);
  await clock.advance(1);
  happens(text);
  const answer = await waiting;
  expect(timeline(roomsOf(answer, "join")[ROOM]).map(({ event_id }) => event_id)).toEqual(["$text"]);
  expect(roomsOf(await sync(next(answer)), "join")).toEqual({});
});

describe("a timeline that is limited", () => {
  test("has the newest, tells where the rest begins, and what it changed in the state", async () => {
    const { sync, enters, happens } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    happens(topic);
    for (const id of ["1", "2", "3"]) happens(message({ id }));
    const room = roomsOf(await sync(since, 0, { filter: { room: { timeline: { limit: 2 } } } }), "join")[ROOM];
    expect(room).toMatchObject({
      state: { events: [{ event_id: "$topic" }] },
      timeline: { events: [{ event_id: "$2" }, { event_id: "$3" }], limited: true, prev_batch: "e2_1_now" },
    });
  });

  test("does not take back what the state has newer", async () => {
    const { sync, enters, happens } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    happens(state("m.room.topic", { topic: "old" }, { id: "old", sender: ALICE }));
    happens(state("m.room.topic", { topic: "new" }, { id: "new", sender: BOB }));
    const filter = { room: { timeline: { senders: [ALICE] } } };
    const room = roomsOf(await sync(since, 0, { filter }), "join")[ROOM];
    expect([stateOf(room), timeline(room)]).toMatchObject([[{ event_id: "$new" }], []]);
  });
});

describe("memberships", () => {
  const LAZY = { room: { state: { lazy_load_members: true } } };
  const names = Array.from({ length: 9 }, (_, nr) => `@user${nr}:remote.example` as UserId);
  const members = names.map((user) => member(user, "join", { id: user.slice(1, 6) }));
  const idsOf = (events: readonly RoomEvent[]): (string | undefined)[] => events.map(({ state_key: key }) => key);

  test("are all in the state where lazy loading was not asked for, the pseudouser's not among them", async () => {
    const { sync, enters, personas } = scene();
    personas.push({ userId: CAROL, displayname: "C", avatarUrl: null });
    enters(ROOM, [...members, member(OWN, "join", { id: "own" })]);
    const room = roomsOf(await sync(null), "join")[ROOM];
    expect(idsOf(stateOf(room))).toEqual([...names, CAROL]);
    expect(room?.["summary"]).toEqual({
      "m.heroes": [CAROL, ...names.slice(0, 4)],
      "m.joined_member_count": 10,
      "m.invited_member_count": 0,
    });
  });

  test("are those of who speaks and of who names the room where it was, with all of them counted", async () => {
    const { sync, enters, happens } = scene();
    enters(ROOM, members);
    happens(message({ id: "1", sender: names[7]! }));
    const room = roomsOf(await sync(null, 0, { filter: LAZY }), "join")[ROOM];
    expect(idsOf(stateOf(room))).toEqual([...names.slice(0, 5), names[7]]);
    expect(room?.["summary"]).toMatchObject({ "m.joined_member_count": 9 });
  });

  test("come later with what their users say, where these are not in the timeline themselves", async () => {
    const { sync, enters, happens, memberships } = scene();
    enters(ROOM);
    const since = next(await sync(null, 0, { filter: LAZY }));
    for (const event of [member(ALICE, "join", { id: "a" }), member(BOB, "join", { id: "b" })]) {
      memberships.set(event.state_key as UserId, event);
    }
    happens(message({ id: "1", sender: ALICE }));
    happens(member(BOB, "join", { id: "b" }));
    happens(message({ id: "2", sender: BOB }));
    const lazy = roomsOf(await sync(since, 0, { filter: LAZY }), "join")[ROOM];
    expect(stateOf(lazy).map(({ event_id }) => event_id)).toEqual(["$a"]);
    expect(lazy?.["summary"]).toEqual({
      "m.heroes": [ALICE],
      "m.joined_member_count": 2,
      "m.invited_member_count": 0,
    });
    expect(stateOf(roomsOf(await sync(since), "join")[ROOM])).toEqual([]);
  });
});

describe("fields of events", () => {
  const event = { type: "t", sender: "s", content: { body: "b", "a.b": 1, deep: { x: 1, y: 2 } } };
  test.each([
    [["type"], { type: "t" }],
    [["content.body", "sender"], { content: { body: "b" }, sender: "s" }],
    [["content.a\\.b"], { content: { "a.b": 1 } }],
    [["content.deep.x", "content.deep.y"], { content: { deep: { x: 1, y: 2 } } }],
    [["content.deep", "content.deep.x"], { content: { deep: { x: 1, y: 2 } } }],
    [["content.none.x", "type.x", "__proto__", "content.__proto__.x"], {}],
    [[], {}],
    ["type", event],
    [undefined, event],
  ])("that are asked for as %j", (fields, shown) => {
    expect(syncFilter(fields === undefined ? {} : { event_fields: fields }).shown(event)).toEqual(shown);
    expect(event.content.deep).toEqual({ x: 1, y: 2 });
  });
});

describe("a filter's ID", () => {
  test("is the filter, and holds whoever asks when", () => {
    const filter = { room: { timeline: { limit: 5, types: ["m.room.message"] } } };
    expect(filterIn(filterIdOf(filter))).toEqual(filter);
    expect(filterIdOf(filter)).toBe(filterIdOf(filter));
  });

  test.each(["0", "3", "x", "f", "f!", "", "fAAAA", `f${"A".repeat(7_000)}`])("is not %j", (id) => {
    expect(filterIn(id)).toBeNull();
  });

  test("has room for some hundred rooms; more are refused, and one that unfolds without end is none", async () => {
    const { deflateRawSync } = await import("node:zlib");
    const rooms = (count: number) => ({
      room: { rooms: Array.from({ length: count }, (_, nr) => `!room${nr * 7919}:remote.example`) },
    });
    expect(filterIn(filterIdOf(rooms(300)))).toEqual(rooms(300));
    expect(() => filterIdOf(rooms(5_000))).toThrow(expect.objectContaining({ code: "too-large" }) as Error);
    const bomb = deflateRawSync(`{"a":"${"a".repeat(1_000_000)}"}`).toString("base64url");
    expect(bomb.length).toBeLessThan(6_000);
    expect(filterIn(`f${bomb}`)).toBeNull();
  });
});
