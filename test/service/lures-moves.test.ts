/**
 * Rooms that move: replaced without end, closed and opened, putting the pseudouser out; and the daemon killed in the middle. Runs what
 * `npm run build` makes.
 */
import { expect, test } from "vitest";
import { MAX_UPGRADES } from "../../src/model/room.ts";
import { ROOM_BUDGET } from "../../src/policy/budget-subjects.ts";
import { eventually, PSEUDOUSER } from "../support/service-app.ts";
import { stringAt } from "../../src/model/json.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { each, numbers, pause, Target } from "../support/lures.ts";

test("a chain of a hundred upgrades is followed for a while and no further", async () => {
  const target = await Target.open();
  const token = await target.daemon.tenant("one");
  const chain = numbers(100).map((nr) =>
    target.room({ id: `!chain${nr}:evil.test`, creator: "@c:evil.test", predecessor: `!chain${nr - 1}:evil.test` }),
  );
  const { cost } = await target.during("a chain of 100 tombstones", async () => {
    await target.join(token, chain[0]!.id);
    for (const [nr, room] of chain.slice(0, -1).entries()) {
      const isThere = await eventually("the next room", () => target.isIn(room), 2_000).catch(() => false);
      if (!isThere) return;
      target.homeserver.send(room, "@c:evil.test", "m.room.tombstone", { replacement_room: chain[nr + 1]!.id }, "");
    }
  });
  expect(cost.joins).toBeLessThanOrEqual(MAX_UPGRADES + 1);
}, 60_000);

test("rooms that replace each other in a circle, or themselves, are entered a few times", async () => {
  const target = await Target.open();
  const token = await target.daemon.tenant("one");
  const nameOf = (nr: number): string => `!circle${nr}:evil.test`;
  const circle = numbers(2).map((nr, at) =>
    target.room({ id: nameOf(nr), creator: "@c:evil.test", predecessor: nameOf(numbers(2)[1 - at]!) }),
  );
  const self = target.room({ id: "!self:evil.test", creator: "@c:evil.test" });
  const { cost } = await target.during("upgrades in a circle", async () => {
    await target.join(token, self.id);
    target.homeserver.send(self, "@c:evil.test", "m.room.tombstone", { replacement_room: self.id }, "");
    await target.join(token, circle[0]!.id);
    for (let round = 0; round < 100; round += 1) {
      const [from, to] = [circle[round % 2]!, circle[(round + 1) % 2]!];
      target.homeserver.send(from, "@c:evil.test", "m.room.tombstone", { replacement_room: to.id, round }, "");
      await pause(15);
    }
    await target.untilDelivered();
  });
  expect(cost.joins).toBeLessThanOrEqual(3);
  expect(target.isIn(self)).toBe(true);
}, 60_000);

test("a room that turns private and peekable a thousand times is entered a few times", async () => {
  const target = await Target.open();
  const room = target.room({ id: "!flip:evil.test", creator: "@c:evil.test" });
  const token = target.user("reader");
  const { cost } = await target.during("a room that flips 1,000 times", async () => {
    await target.peek(room.id, token);
    for (let round = 0; round < 1_000; round += 1) {
      const rule = round % 2 === 0 ? "invite" : "public";
      target.homeserver.send(room, "@c:evil.test", "m.room.join_rules", { join_rule: rule }, "");
      if (round % 20 === 0) await pause(60);
      if (round % 50 === 0) void target.peek(room.id, token);
    }
    await target.untilDelivered();
    await pause(500);
  });
  expect(cost.joins).toBeLessThanOrEqual(ROOM_BUDGET.joins);
  expect(cost.leaves).toBeLessThanOrEqual(ROOM_BUDGET.joins);
  expect(cost.asked).toBeLessThan(1_000);
}, 60_000);

test("a room whose access list keeps our server out is left, however often somebody wants in", async () => {
  const target = await Target.open();
  const token = await target.daemon.tenant("one");
  const room = target.room({ id: "!acl:evil.test", creator: "@c:evil.test", ignoresAcl: true });
  const { cost } = await target.during("an access list against us", async () => {
    await target.join(token, room.id);
    target.homeserver.send(room, "@c:evil.test", "m.room.server_acl", { allow: ["*"], deny: [SERVER] }, "");
    await eventually("the pseudouser having left", () => !target.isIn(room));
    for (let round = 0; round < 20; round += 1) {
      await target.join(token, room.id);
      await pause(100);
    }
    await eventually("the pseudouser having left", () => !target.isIn(room));
  });
  expect(cost.joins).toBeLessThanOrEqual(ROOM_BUDGET.joins);
}, 60_000);

test.each([
  ["", false],
  [" and invites in turn", true],
])(
  "a war of kicks%s is not fought: who comes again and again is kept out for a while",
  async (more, invites) => {
    const target = await Target.open();
    const token = await target.daemon.tenant("one");
    const room = target.room({ id: "!war:evil.test", creator: "@c:evil.test" });
    const reader = target.user("reader");
    const { cost } = await target.during(`a war of kicks${more}`, async () => {
      for (let round = 0; round < 60; round += 1) {
        await Promise.all([target.join(token, room.id), target.peek(room.id, reader)]);
        if (target.isIn(room)) target.homeserver.setMembership(room, PSEUDOUSER, "leave", "@c:evil.test");
        if (invites) target.homeserver.setMembership(room, PSEUDOUSER, "invite", "@c:evil.test");
        await target.untilDelivered();
        await pause(20);
      }
    });
    expect(cost.joins).toBeLessThanOrEqual(ROOM_BUDGET.joins);
    expect(cost.asked).toBeLessThan(400);
  },
  60_000,
);

test("killed in the middle of all that, it keeps the bounds, and a tenant's messages arrive", async () => {
  const target = await Target.open();
  const token = await target.daemon.tenant("one");
  const home = target.room({ id: "!home:friend.test", creator: "@c:friend.test", members: [`@alice:${SERVER}`] });
  await target.join(token, home.id);
  const evil = numbers(300).map((nr) => target.room({ id: `!evil${nr}:evil.test`, creator: "@c:evil.test" }));
  const users = numbers(30).map((nr) => target.user(`reader-${nr}`));
  const { cost, result } = await target.during(
    "kill -9 in the middle of peeks into 300 rooms",
    async () => {
      let isOver = false;
      const peeks = each(evil.entries(), 40, async ([nr, room]) => {
        if (!isOver) await target.peek(room.id, users[nr % users.length]!);
      });
      await pause(1_000);
      const said = await Promise.all(numbers(20).map((nr) => target.say(token, home.id, `before-${nr}`)));
      for (const nr of numbers(50)) target.homeserver.say(home, "@c:friend.test", `heard ${nr}`);
      isOver = true;
      await target.restart();
      await peeks;
      await each(evil.slice(0, 12).entries(), 12, ([nr, room]) => target.peek(room.id, users[nr % users.length]!));
      said.push(...(await Promise.all(numbers(20).map((nr) => target.say(token, home.id, `after-${nr}`)))));
      await target.untilDelivered();
      return said;
    },
    { openings: false, isKilled: true },
  );
  expect(new Set(result.map(({ status }) => status))).toEqual(new Set([200]));
  expect(home.timeline.filter(({ sender, type }) => sender === PSEUDOUSER && type === "m.room.message")).toHaveLength(
    40,
  );
  const [heard] = target.query<{ n: number }>(
    "SELECT count(*) AS n FROM journal, json_each(journal.event_ids) AS e WHERE e.value IN (" +
      home.timeline
        .filter(({ content }) => stringAt(content, "body")?.startsWith("heard") === true)
        .map(({ event_id }) => `'${event_id}'`)
        .join() +
      ")",
  );
  expect(heard!.n).toBe(50);
  // Twice what the server may cause: a restart fills the budgets.
  expect(cost.joins).toBeLessThanOrEqual(400);
}, 90_000);
