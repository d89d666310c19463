import { describe, expect, onTestFinished, test } from "vitest";
import type { RoomStates } from "../../../src/attendance/contracts.ts";
import type { Feed } from "../../../src/feed/feed.ts";
import type { LeaseChange, LeaseChanges } from "../../../src/gateways/act/sync/contracts.ts";
import { TenantSync } from "../../../src/gateways/act/sync/sync.ts";
import { positionOf, tokenOf } from "../../../src/gateways/act/sync/token.ts";
import { EmissaryError } from "../../../src/model/errors.ts";
import type { RoomEvent, StateEvent } from "../../../src/model/event.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Openings } from "../../../src/ledger/openings.ts";
import { parsedObject, type JsonObject } from "../../../src/model/json.ts";
import { Signal } from "../../../src/model/signal.ts";
import type { Tenant } from "../../../src/model/tenant.ts";
import { ManualClock, settle, START } from "../../support/clock.ts";
import { ALICE, member, message, OTHER_ROOM, ROOM, state } from "../../support/events.ts";
import { tenant, viewer } from "../../support/tenants.ts";

const BOT = tenant("bot");
const NEVER = new AbortController().signal;
const HOLD = { add: async () => {}, free: () => {} };

/** A journal whose every event concerns the tenant, and leases that change as the test says. */
function scene() {
  const journal: RoomEvent[] = [];
  const leases: LeaseChange[] = [];
  const states = new Map<RoomId, readonly StateEvent[]>();
  const news = new Signal();
  const clock = new ManualClock();
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  const feed: Feed = {
    read: async (_tenant, after, limits) => {
      const events = journal.map((event, index) => ({ seq: index + 1, event })).slice(after, after + limits.events);
      const upTo = events.at(-1)?.seq ?? after;
      return { events, upTo, isMore: upTo < journal.length };
    },
  };
  const changes: LeaseChanges = {
    since: async (_tenant, after) =>
      leases.filter(({ change, ended }) => (after === null ? ended === null : change > after)),
    newest: async () => leases.length,
  };
  const roomStates: RoomStates = {
    stream: async function* (roomId) {
      const known = states.get(roomId);
      if (known === undefined) throw new EmissaryError("homeserver-unreachable", "The homeserver gave no answer.");
      yield known;
    },
  };
  const bounds = async () => ({ first: journal.length === 0 ? 0 : 1, last: journal.length });
  const tenants = { viewerOf: (of: Tenant) => viewer(of) };
  const parts = { tenants, feed, journal: { bounds }, changes, states: roomStates, news: [news], clock };
  const openings = new Openings({ name: "now", earlier: [{ name: "before", end: { seq: 1, change: 1 } }] });
  const missed: string[] = [];
  const sync = new TenantSync({
    ...parts,
    openings,
    missed: (_tenant, why) => missed.push(why),
    stopping: stopping.signal,
  });
  return {
    sync: async (since: string | null, wait = 0, gone = NEVER): Promise<JsonObject> =>
      parsedObject(await sync.sync(BOT, since, wait, gone, HOLD)),
    clock,
    missed,
    happens: (event: RoomEvent) => {
      journal.push(event);
      news.notify();
    },
    enters: (roomId: RoomId, roomState: readonly StateEvent[] = []) => {
      states.set(roomId, roomState);
      leases.push({ change: leases.length + 1, roomId, at: START, ended: null });
      news.notify();
    },
    ends: (roomId: RoomId, ended: LeaseChange["ended"]) => {
      leases.push({ change: leases.length + 1, roomId, at: START, ended });
      news.notify();
    },
    forgets: (roomId: RoomId) => states.delete(roomId),
    stop: () => stopping.abort(),
  };
}

function roomsOf(answer: JsonObject, kind: "join" | "leave" | "invite"): Record<string, JsonObject> {
  return (answer["rooms"] as JsonObject)[kind] as Record<string, JsonObject>;
}

function timeline(room: JsonObject | undefined): RoomEvent[] {
  return ((room?.["timeline"] as JsonObject | undefined)?.["events"] ?? []) as unknown as RoomEvent[];
}

const next = (answer: JsonObject): string => answer["next_batch"] as string;

describe("a bot that polls", () => {
  test("is told at first where it is, with the state of its rooms but their members, and no history", async () => {
    const { sync, happens, enters } = scene();
    happens(message({ id: "old" }));
    const name = state("m.room.name", { name: "Lounge" }, { id: "name" });
    enters(ROOM, [name, member(ALICE, "join", { id: "alice" })]);
    const answer = await sync(null);
    expect(roomsOf(answer, "join")[ROOM]).toMatchObject({ state: { events: [name] }, timeline: { limited: true } });
    expect(timeline(roomsOf(answer, "join")[ROOM])).toMatchObject([
      { type: "m.room.member", state_key: BOT.sender, content: { membership: "join" } },
    ]);
    expect(roomsOf(await sync(next(answer)), "join")).toEqual({});
  });

  test("is then told what happens, each event once, in order, however many there are", async () => {
    const { sync, happens } = scene();
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
    const { sync, happens, clock } = scene();
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
    const { sync, stop, happens } = scene();
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
    expect(roomsOf(answer, "invite")[ROOM]).toEqual({ invite_state: { events: [told, invite] } });
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

  test.each(["s1", "e1", "e1_", "e-1_0", "e1_0 ", "", "e99999999999999999_0", "e1_0", "e1_0_", "e1_0_a/b"])(
    "with the token %j is told that it is none",
    async (token) => {
      await expect(scene().sync(token)).rejects.toMatchObject({ code: "bad-parameter" });
    },
  );

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
});
