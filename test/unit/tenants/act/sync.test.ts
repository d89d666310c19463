import { describe, expect, test } from "vitest";
import { positionOf, tokenOf } from "../../../../src/tenants/sync/token.ts";
import type { EventId, UserId } from "../../../../src/model/ids.ts";
import { settle } from "../../../support/clock.ts";
import { ALICE, BOB, member, message, NEW_ROOM, OTHER_ROOM, OWN, ROOM, state } from "../../../support/events.ts";
import { BOT, GHOST, next, roomsOf, scene, stateOf, timeline } from "./sync-scene.ts";

describe("a bot that polls", () => {
  test("is told at first where it is, with the state of its rooms, its own being there, and the newest of what it heard", async () => {
    const { sync, happens, enters } = scene();
    happens(message({ id: "elsewhere", room: OTHER_ROOM }));
    const name = state("m.room.name", { name: "Lounge" }, { id: "name" });
    const alice = member(ALICE, "join", { id: "alice" });
    enters(ROOM, [name, alice, member(OWN, "join", { id: "own" })]);
    for (let nr = 0; nr < 12; nr += 1) happens(message({ id: String(nr) }));
    const answer = await sync(null);
    const { [ROOM]: room, ...others } = roomsOf(answer, "join");
    expect(others).toEqual({});
    expect(stateOf(room).map(({ event_id }) => event_id)).toEqual(["$name", "$alice", "$emissary_lease_now_1"]);
    expect(timeline(room).map(({ event_id }) => event_id)).toEqual(Array.from({ length: 10 }, (_, nr) => `$${nr + 2}`));
    expect(room).toMatchObject({
      timeline: { limited: true, prev_batch: tokenOf({ opening: "now", seq: 3, change: 1 }) },
      summary: { "m.joined_member_count": 1, "m.invited_member_count": 0 },
      ephemeral: { events: [] },
      account_data: { events: [] },
      unread_notifications: { highlight_count: 0, notification_count: 0 },
    });
    expect(room?.["summary"]).not.toHaveProperty("m.heroes");
    expect(roomsOf(await sync(next(answer)), "join")).toEqual({});
  });

  test("is then told what happens, each event once, in order, however many there are", async () => {
    const { sync, happens, enters } = scene();
    enters(ROOM);
    enters(OTHER_ROOM);
    let since = next(await sync(null));
    for (let nr = 0; nr < 1_200; nr += 1) happens(message({ id: String(nr), room: nr % 2 === 0 ? ROOM : OTHER_ROOM }));
    const seen: Record<string, string[]> = { [ROOM]: [], [OTHER_ROOM]: [] };
    for (let step = 0; step < 4; step += 1) {
      const answer = await sync(since);
      for (const [roomId, room] of Object.entries(roomsOf(answer, "join"))) {
        seen[roomId]?.push(...timeline(room).map(({ event_id }) => event_id));
      }
      since = next(answer);
    }
    const numbers = Array.from({ length: 600 }, (_, half) => half * 2);
    expect(seen).toEqual({
      [ROOM]: numbers.map((nr) => `$${nr}`),
      [OTHER_ROOM]: numbers.map((nr) => `$${nr + 1}`),
    });
  });

  test("waits for news, and is answered with them; without any, when its time is over", async () => {
    const { sync, happens, clock, enters } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    const waiting = sync(since, 30_000);
    await settle();
    happens(message({ id: "new" }));
    const answer = await waiting;
    expect(timeline(roomsOf(answer, "join")[ROOM])).toMatchObject([{ event_id: "$new" }]);

    const quiet = sync(next(answer), 30_000);
    await settle();
    await clock.advance(29_999);
    expect(await Promise.race([quiet, settle().then(() => "waits")])).toBe("waits");
    await clock.advance(1);
    expect(await quiet).toMatchObject({ next_batch: next(answer), rooms: { join: {}, leave: {}, invite: {} } });
  });

  test("is answered at once when Emissary stops, and loses nothing by it", async () => {
    const { sync, stop, happens, enters } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    const waiting = sync(since, 30_000);
    await settle();
    stop();
    const answer = await waiting;
    expect(next(answer)).toBe(since);
    happens(message({ id: "later" }));
    expect(timeline(roomsOf(await sync(next(answer)), "join")[ROOM])).toHaveLength(1);
  });

  test("learns of a room it came into by its own joining there, once, and of one it lost by its leaving", async () => {
    const { sync, enters, ends } = scene();
    let since = next(await sync(null));
    enters(ROOM, [state("m.room.topic", { topic: "T" }, { id: "topic" })]);
    const entered = await sync(since, 30_000);
    expect(timeline(roomsOf(entered, "join")[ROOM])).toMatchObject([{ content: { membership: "join" } }]);
    since = next(entered);
    expect(roomsOf(await sync(since), "join")).toEqual({});
    ends(ROOM, "banned");
    const left = await sync(since, 30_000);
    expect(timeline(roomsOf(left, "leave")[ROOM])).toMatchObject([
      { state_key: BOT.sender, content: { membership: "ban", reason: "banned" } },
    ]);
    expect(roomsOf(await sync(next(left)), "leave")).toEqual({});
  });

  test("joins a room that it makes after the room is made, and where that is left out its token is after it", async () => {
    const { sync, happens, enters } = scene();
    const since = next(await sync(null));
    happens(state("m.room.create", { room_version: "10" }, { id: "create" }));
    happens(state("m.room.topic", { topic: "new" }, { id: "topic" }));
    enters(ROOM);
    const { [ROOM]: whole } = roomsOf(await sync(since), "join");
    expect(timeline(whole).map(({ event_id }) => event_id)).toEqual(["$create", "$emissary_lease_now_1", "$topic"]);
    const filter = { room: { timeline: { limit: 2 } } };
    const { [ROOM]: cut } = roomsOf(await sync(since, 0, { filter }), "join");
    expect(timeline(cut).map(({ event_id }) => event_id)).toEqual(["$emissary_lease_now_1", "$topic"]);
    expect(cut).toMatchObject({ timeline: { prev_batch: tokenOf({ opening: "now", seq: 1, change: 1 }) } });
  });

  test("finds an invite to it among the invites, with what the room says of itself", async () => {
    const { sync, happens } = scene();
    const since = next(await sync(null));
    const told = { type: "m.room.name", state_key: "", sender: ALICE, content: { name: "Lounge" } };
    const invite = {
      ...member(BOT.sender, "invite", { id: "i", sender: ALICE }),
      unsigned: { invite_room_state: [told] },
    };
    happens(invite);
    const answer = await sync(since);
    expect(roomsOf(answer, "join")).toEqual({});
    const { type, state_key: key, sender, content } = invite;
    expect(roomsOf(answer, "invite")[ROOM]).toEqual({
      invite_state: { events: [told, { type, state_key: key, sender, content }] },
    });
  });

  test("is told that the homeserver cannot be reached, and goes on from where it was", async () => {
    const { sync, enters, forgets } = scene();
    const since = next(await sync(null));
    enters(ROOM);
    forgets(ROOM);
    await expect(sync(since)).rejects.toMatchObject({ code: "homeserver-unreachable" });
    enters(ROOM);
    expect(Object.keys(roomsOf(await sync(since), "join"))).toEqual([ROOM]);
  });

  test.each([
    "s1",
    "e1",
    "s72594_4483_1934_21_5",
    "m1~2.3",
    "e-1_0",
    "e1_0 ",
    "",
    "e99999999999999999_0",
    "e1_0",
    "e1_0_",
    "e1_0_a/b",
  ])("with the token %j, which is none of ours, begins anew, and nothing was missed of ours", async (token) => {
    const { sync, enters, missed } = scene();
    enters(ROOM);
    const answer = await sync(token, 30_000);
    expect(Object.keys(roomsOf(answer, "join"))).toEqual([ROOM]);
    expect(positionOf(next(answer))).toEqual({ opening: "now", seq: 0, change: 1 });
    expect(missed).toEqual([]);
  });

  // A backup that was restored knows less than the bot: waiting until the numbers come again would skip what happens meanwhile.
  test.each([
    ["of now, further than the journal", { opening: "now", seq: 7, change: 0 }],
    ["of now, further than the leases", { opening: "now", seq: 0, change: 7 }],
    ["of before, after where the copy was made", { opening: "before", seq: 2, change: 1 }],
    ["of before, with a lease from after that", { opening: "before", seq: 1, change: 2 }],
    ["of an opening that the copy has not seen", { opening: "lost", seq: 0, change: 0 }],
  ])("with a token %s begins anew, and it is told that something was missed", async (_what, position) => {
    const { sync, enters, happens, missed } = scene();
    enters(ROOM);
    enters(OTHER_ROOM);
    for (const id of ["1", "2", "3"]) happens(message({ id }));
    const answer = await sync(tokenOf(position));
    expect(Object.keys(roomsOf(answer, "join")).sort()).toEqual([ROOM, OTHER_ROOM].sort());
    expect(roomsOf(answer, "join")[ROOM]).toMatchObject({ timeline: { limited: true } });
    expect(positionOf(next(answer))).toEqual({ opening: "now", seq: 3, change: 2 });
    expect(missed).toEqual(["restored"]);
  });

  test("with a token of an earlier opening, of what is there still, goes on, and misses nothing", async () => {
    const { sync, enters, happens, missed } = scene();
    enters(ROOM);
    for (const id of ["1", "2"]) happens(message({ id }));
    const answer = await sync(tokenOf({ opening: "before", seq: 1, change: 1 }));
    expect(timeline(roomsOf(answer, "join")[ROOM]).map(({ event_id }) => event_id)).toEqual(["$2"]);
    expect(positionOf(next(answer))).toEqual({ opening: "now", seq: 2, change: 1 });
    expect(missed).toEqual([]);
  });

  test("may wait eight times at once, not more", async () => {
    const { sync, stop } = scene();
    const since = next(await sync(null));
    const waiting = Array.from({ length: 8 }, () => sync(since, 30_000));
    await settle();
    await expect(sync(since, 30_000)).rejects.toMatchObject({ code: "limited", retryAfter: 1_000 });
    stop();
    await Promise.all(waiting);
    expect(await sync(since, 0)).toMatchObject({ next_batch: since });
  });

  test("that asks for the full state has it at once, although there is no news, with what happened since", async () => {
    const { sync, enters, happens } = scene();
    const topic = state("m.room.topic", { topic: "T" }, { id: "topic" });
    enters(ROOM, [topic, member(ALICE, "join", { id: "alice" }), member(BOB, "join", { id: "bob" })]);
    enters(OTHER_ROOM, [topic]);
    const since = next(await sync(null));
    const quiet = roomsOf(await sync(since, 30_000, { isFull: true }), "join");
    expect(Object.keys(quiet)).toEqual([ROOM, OTHER_ROOM]);
    expect(stateOf(quiet[ROOM]).map(({ event_id }) => event_id)).toEqual([
      "$topic",
      "$alice",
      "$bob",
      "$emissary_lease_now_1",
    ]);
    expect(quiet[ROOM]).toMatchObject({
      timeline: { events: [], limited: false },
      summary: { "m.joined_member_count": 2, "m.heroes": [ALICE, BOB] },
    });
    happens(message({ id: "new" }));
    const later = await sync(since, 30_000, { isFull: true });
    expect(timeline(roomsOf(later, "join")[ROOM]).map(({ event_id }) => event_id)).toEqual(["$new"]);
    expect(roomsOf(await sync(next(later)), "join")).toEqual({});
  });

  test("finds its open invites at first: as they came where that is known, and none that is no longer open", async () => {
    const { sync, happens, open } = scene();
    const told = { type: "m.room.name", state_key: "", sender: ALICE, content: { name: "Lounge" } };
    happens({ ...member(BOT.sender, "invite", { id: "i", sender: ALICE }), unsigned: { invite_room_state: [told] } });
    happens(member(BOT.sender, "invite", { id: "declined", sender: ALICE, room: OTHER_ROOM }));
    const invite = { sender: ALICE, eventId: "$i" as EventId, reason: null };
    open.push({ ...invite, roomId: ROOM, user: BOT.sender });
    open.push({ ...invite, roomId: NEW_ROOM, user: GHOST, eventId: "$old" as EventId });
    open.push({ ...invite, roomId: OTHER_ROOM, user: "@carol:ours.example" as UserId });
    const invites = roomsOf(await sync(null), "invite");
    expect(Object.keys(invites)).toEqual([ROOM, NEW_ROOM]);
    expect(invites[ROOM]).toMatchObject({
      invite_state: { events: [told, { sender: ALICE, state_key: BOT.sender }] },
    });
    expect(invites[NEW_ROOM]).toMatchObject({
      invite_state: { events: [{ sender: ALICE, state_key: GHOST, content: { membership: "invite" } }] },
    });
    expect(roomsOf(await sync(null, 0, { filter: { room: { rooms: [] } } }), "invite")).toEqual({});
  });

  test("never finds a persona's invite among the rooms that it has joined", async () => {
    const { sync, happens } = scene();
    const since = next(await sync(null));
    happens(member(GHOST, "invite", { id: "i", sender: ALICE }));
    const answer = await sync(since);
    expect([roomsOf(answer, "join"), Object.keys(roomsOf(answer, "invite"))]).toEqual([{}, [ROOM]]);
  });

  test("that was put out is told what was said before, who did it, and why", async () => {
    const { sync, happens, enters, ends } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    happens(message({ id: "last" }));
    happens({
      ...member(BOT.sender, "leave", { id: "kick", sender: ALICE }),
      content: { membership: "leave", reason: "go" },
    });
    ends(ROOM, "kicked");
    const answer = await sync(since);
    expect(roomsOf(answer, "join")).toEqual({});
    expect(timeline(roomsOf(answer, "leave")[ROOM])).toMatchObject([
      { event_id: "$last" },
      { event_id: "$kick", sender: ALICE, content: { membership: "leave", reason: "go" } },
    ]);
  });

  test("knows its own events by the transaction IDs that it gave", async () => {
    const { sync, happens, enters, sent } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    sent.set("$mine" as EventId, "m1");
    happens(message({ id: "mine", sender: BOT.sender }));
    happens(message({ id: "theirs", sender: OWN }));
    const events = timeline(roomsOf(await sync(since), "join")[ROOM]);
    expect(events.map(({ unsigned }) => unsigned)).toEqual([
      { transaction_id: "m1", membership: "join" },
      { membership: "join" },
    ]);
  });

  test("has events in the form of a sync: without their room, and nothing twice", async () => {
    const { sync, happens, enters } = scene();
    enters(ROOM);
    const since = next(await sync(null));
    const before = { prev_content: { topic: "A" }, replaces_state: "$a", age: 5 };
    const event = {
      ...state("m.room.topic", { topic: "B" }, { id: "b" }),
      ...before,
      user_id: ALICE,
      unsigned: before,
    };
    happens(event);
    const [told] = timeline(roomsOf(await sync(since), "join")[ROOM]);
    expect(Object.keys(told ?? {}).sort()).toEqual(
      ["content", "event_id", "origin_server_ts", "sender", "state_key", "type", "unsigned"].sort(),
    );
    expect(told).toMatchObject({ unsigned: { prev_content: { topic: "A" }, replaces_state: "$a" } });
  });
});
