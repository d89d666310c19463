/** However a client filters and limits what it is told step by step: it knows of its rooms' state what one full sync tells. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isStateEvent, type StateEvent } from "../../../../src/model/event.ts";
import type { UserId } from "../../../../src/model/ids.ts";
import type { JsonObject } from "../../../../src/model/json.ts";
import { ALICE, BOB, member, message, OTHER_ROOM, ROOM, state } from "../../../support/events.ts";
import { next, roomsOf, scene, stateOf, timeline } from "./sync-scene.ts";

const ROOMS = [ROOM, OTHER_ROOM];
const USERS = [ALICE, BOB, "@dan:remote.example" as UserId];

/** What a client may leave out of timelines: whatever that is, the state has it. */
const timelineFilter: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.constant({}),
  fc.record({ limit: fc.integer({ min: 0, max: 3 }) }),
  fc.constantFrom<JsonObject>(
    { types: ["m.room.message"] },
    { not_types: ["m.room.topic"], limit: 2 },
    { senders: [ALICE] },
    { not_senders: [ALICE], limit: 1 },
    { contains_url: false },
    { contains_url: true },
  ),
);

const deed = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("say", "topic", "topic", "member"),
      room: fc.constantFrom(ROOM, ROOM, OTHER_ROOM),
      by: fc.constantFrom(ALICE, BOB),
      to: fc.constantFrom("join", "leave", "invite", "ban"),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("sync" as const), filter: timelineFilter }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("full" as const), filter: timelineFilter }) },
);

test("what a first sync shows of the timeline takes back nothing of the state beside it", async () => {
  const { sync, happens, enters } = scene();
  const current = state("m.room.topic", { topic: "new" }, { id: "new", sender: ALICE });
  enters(ROOM, [current]);
  happens(state("m.room.topic", { topic: "old" }, { id: "old", sender: BOB }));
  happens(current);
  const filter = { room: { timeline: { not_senders: [ALICE] } } };
  const room = roomsOf(await sync(null, 0, { filter }), "join")[ROOM];
  const topics = [...stateOf(room), ...timeline(room)].filter(({ type }) => type === "m.room.topic");
  expect(topics.map(({ event_id }) => event_id)).toEqual(["$new"]);
});

test("steps of any filter and limit come to the state of one full sync", async () => {
  let limited = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 1, maxLength: 25 }), async (deeds) => {
      const { sync, happens, enters } = scene();
      const states = new Map(ROOMS.map((room) => [room, [] as StateEvent[]]));
      for (const [room, held] of states) enters(room, held);
      const known = new Map<string, string>();
      let since: string | null = null;
      let serial = 0;
      const step = async (filter: JsonObject, isFull = false): Promise<void> => {
        const answer: JsonObject = await sync(since, 0, { filter: { room: { timeline: filter } }, isFull });
        for (const [roomId, room] of Object.entries(roomsOf(answer, "join"))) {
          if ((room["timeline"] as JsonObject)["limited"] === true) limited += 1;
          for (const event of [...stateOf(room), ...timeline(room)]) {
            if (event.state_key !== undefined) known.set(`${roomId} ${event.type} ${event.state_key}`, event.event_id);
          }
        }
        since = next(answer);
      };
      for (const one of deeds) {
        if (one.kind === "sync" || one.kind === "full") {
          await step(one.filter, one.kind === "full");
          continue;
        }
        const wish = { id: `${(serial += 1)}`, room: one.room, sender: one.by };
        const event =
          one.kind === "say"
            ? message(wish)
            : one.kind === "member"
              ? member(USERS[serial % 3]!, one.to, wish)
              : state(`m.room.${one.kind}`, { [one.kind]: wish.id }, wish);
        if (isStateEvent(event)) set(states.get(one.room) ?? [], event);
        happens(event);
      }
      await step({});
      const steps = new Map(known);
      known.clear();
      since = null;
      await step({ limit: 0 });
      expect(steps).toEqual(known);
    }),
    { numRuns: 300 },
  );
  expect(limited).toBeGreaterThan(50);
}, 30_000);

/** The room's state after an event, in the same list: whoever reads it reads it as it is now. */
function set(held: StateEvent[], event: StateEvent): void {
  const at = held.findIndex(({ type, state_key: key }) => type === event.type && key === event.state_key);
  held.splice(at === -1 ? held.length : at, at === -1 ? 0 : 1, event);
}
