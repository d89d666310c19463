/** Invites and aliases: what others do so that our server comes to them. Runs what `npm run build` makes. */
import { expect, test } from "vitest";
import { ANSWER_BUDGETS } from "../../src/attendance/invites/answer.ts";
import { MAX_QUEUED } from "../../src/aliases/mention-queue.ts";
import { ROOM_BUDGET } from "../../src/policy/budget-subjects.ts";
import { SERVER } from "../support/fake-homeserver.ts";
import { eventually, PSEUDOUSER } from "../support/service-app.ts";
import { inviteOf, numbers, pause, Target } from "../support/lures.ts";
import { sizeOf } from "../support/soak.ts";

const MIB = 2 ** 20;
const MANY = sizeOf(3_000, 10_000);
/** Time for what the attack set in motion. */
const AFTER_MS = 1_500;
const TAKE_PART = "invites: { take_part: true }";

test.each([
  ["from one server", 1, ANSWER_BUDGETS["declined-server"].joins],
  ["from 1,000 servers", 1_000, ANSWER_BUDGETS["declined-all"].joins],
])(
  "thousands of invites of the pseudouser %s bring it nowhere, and most have no answer",
  async (from, servers, declines) => {
    const target = await Target.open();
    const { cost } = await target.during(`${MANY} invites of the pseudouser ${from}`, async () => {
      for (const nr of numbers(MANY)) inviteOf(target.homeserver, PSEUDOUSER, `@c:s${nr % servers}.evil.test`);
      await target.untilDelivered();
      await pause(AFTER_MS);
    });
    expect(cost.joins).toBe(0);
    expect(cost.leaves).toBeLessThanOrEqual(declines + 1);
    // Each is declined, and looked at whether it was.
    expect(cost.asked).toBeLessThanOrEqual(3 * declines + 50);
    expect(cost.disk).toBeLessThan(60 * MIB);
    expect(cost.journal).toBeLessThan(10 * MIB);
    expect(cost.rows["audit"] ?? 0).toBeLessThanOrEqual(1_000);
  },
  90_000,
);

test.each([
  ["one inviter", (): string => "@c:evil.test", 3],
  ["one server", (nr: number): string => `@c${nr % 1_000}:evil.test`, 10],
  ["1,000 servers", (nr: number): string => `@c:s${nr % 1_000}.evil.test`, 500],
])(
  "thousands of invites of local users from %s bring the pseudouser into as many rooms as they may",
  async (from, by, joins) => {
    const target = await Target.open(TAKE_PART);
    const { cost } = await target.during(`${MANY} invites of local users from ${from}`, async () => {
      for (const nr of numbers(MANY)) inviteOf(target.homeserver, `@user-${nr % 500}:${SERVER}`, by(nr));
      await target.untilDelivered();
      await pause(AFTER_MS);
    });
    expect(cost.joins).toBeLessThanOrEqual(joins);
    // A thousand looks an hour for invites, and one more before each join.
    expect(cost.requests.get("GET room_summary/!") ?? 0).toBeLessThanOrEqual(joins > 10 ? 1_100 + cost.joins : 100);
    expect(cost.rows["leases"] ?? 0).toBeLessThanOrEqual(joins + 200);
    expect(cost.disk).toBeLessThan(60 * MIB);
  },
  90_000,
);

test("a thousand invites of local users to one room are one join", async () => {
  const target = await Target.open(TAKE_PART);
  const room = target.room({ id: "!burst:friend.test", creator: "@c:friend.test" });
  const { cost } = await target.during("1,000 invites of local users to one room", async () => {
    for (const nr of numbers(1_000)) inviteOf(target.homeserver, `@user-${nr}:${SERVER}`, "@c:friend.test", room);
    await target.untilDelivered();
    await eventually("the join", () => target.isIn(room));
    await pause(1_000);
  });
  expect(cost.joins).toBe(1);
  expect(cost.requests.get("GET room_summary/!") ?? 0).toBeLessThanOrEqual(2);
}, 60_000);

test("thousands of events that name aliases of ours cost a look now and then", async () => {
  const target = await Target.open();
  const token = await target.daemon.tenant("one");
  const room = target.room({ id: "!names:evil.test", creator: "@c:evil.test" });
  const begun = performance.now();
  const { cost } = await target.during(`${MANY} canonical aliases with names of our server`, async () => {
    await target.join(token, room.id);
    for (const nr of numbers(MANY)) {
      const names = { alias: `#a${nr}:${SERVER}`, alt_aliases: numbers(50).map((more) => `#b${nr}-${more}:${SERVER}`) };
      const event = room.append("m.room.canonical_alias", "@c:evil.test", names, "");
      target.homeserver.sender.push(event);
      if (nr % 100 === 0) await pause(10);
    }
    await target.untilDelivered();
    await pause(AFTER_MS);
  });
  const seconds = (performance.now() - begun) / 1_000;
  expect(cost.requests.get("GET directory/room/#") ?? 0).toBeLessThanOrEqual(Math.min(MAX_QUEUED, 3 * seconds + 20));
  expect(cost.joins).toBeLessThanOrEqual(1);
  expect(cost.rows["aliases"] ?? 0).toBeLessThanOrEqual(MAX_QUEUED);
}, 90_000);

test("an alias that points here and there in a loop brings the pseudouser to few rooms", async () => {
  const target = await Target.open();
  const token = await target.daemon.tenant("one");
  const alias = `#flap:${SERVER}`;
  const rooms = numbers(3).map((nr) => target.room({ id: `!flap${nr}:evil.test`, creator: "@c:evil.test" }));
  const { cost } = await target.during("an alias that flaps 1,000 times", async () => {
    await target.join(token, rooms[0]!.id);
    for (const nr of numbers(1_000)) {
      const [from, to] = [rooms[nr % 3]!, rooms[(nr + 1) % 3]!];
      target.homeserver.aliases.set(alias, to.id);
      const others = [`#flap:evil.test`, alias, `#other:${SERVER}`];
      target.homeserver.send(
        from,
        "@c:evil.test",
        "m.room.canonical_alias",
        { alias: others[nr % 3]!, alt_aliases: others },
        "",
      );
      if (nr % 10 === 0) await pause(20);
    }
    await target.untilDelivered();
    await pause(AFTER_MS);
  });
  expect(cost.joins).toBeLessThanOrEqual(ROOM_BUDGET.joins);
  expect(cost.asked).toBeLessThan(100);
}, 60_000);
