/** Peeks and floods: users who look into more than anybody reads, and rooms that say more. Runs what `npm run build` makes. */
import { expect, test } from "vitest";
import { each, numbers, pause, Target } from "../support/lures.ts";
import { sizeOf } from "../support/soak.ts";

const MIB = 2 ** 20;
const ROOMS = sizeOf(2_000, 10_000);
const REASON = "org.matrix.msc1777.reason";

test("a user who looks into thousands of rooms has the pseudouser enter as many as one user may", async () => {
  const begun = performance.now();
  const target = await Target.open();
  const token = target.user("greedy");
  const { cost } = await target.during(`peeks of one user in ${ROOMS} rooms`, () =>
    each(numbers(ROOMS), 50, (nr) => target.peek(target.room({ id: `!many${nr}:s${nr % 500}.test` }).id, token)),
  );
  expect(cost.joins).toBeLessThanOrEqual(30);
  // As many as a user may look at after a rest, and what comes back meanwhile.
  const hours = (performance.now() - begun) / 3_600_000;
  expect(cost.requests.get("GET room_summary/!") ?? 0).toBeLessThanOrEqual(Math.ceil(300 * (1 + hours)));
  // Each request is the homeserver's to answer first; beyond that it is asked for no more than the budget of looks lets pass.
  expect(cost.asked).toBeLessThanOrEqual(ROOMS + 1_000);
  expect(cost.rows["leases"] ?? 0).toBeLessThanOrEqual(30 + 50);
  expect(cost.disk).toBeLessThan(20 * MIB);
}, 120_000);

test("a hundred users who look into 10,000 rooms of one server cause as many joins as one server gains by", async () => {
  const target = await Target.open();
  const users = numbers(100).map((nr) => target.user(`greedy-${nr}`));
  const attack = async (): Promise<void> => {
    const over = new AbortController();
    const stop = setTimeout(() => over.abort(), 8_000);
    await each(numbers(10_000), 100, async (nr) => {
      if (over.signal.aborted) return;
      await Promise.race([target.peek(target.room({ id: `!many${nr}:evil.test` }).id, users[nr % 100]!), pause(500)]);
    });
    clearTimeout(stop);
  };
  // A hundred who want in are served in turn, five a second: whoever comes then has to wait for 20 seconds, which is not waited for here.
  const what = "peeks of 100 users in 10,000 rooms of one server";
  const { cost } = await target.during(what, attack, { openings: false });
  expect(cost.joins).toBeLessThanOrEqual(200);
  expect(cost.rows["leases"] ?? 0).toBeLessThanOrEqual(700);
  expect(cost.disk).toBeLessThan(30 * MIB);
}, 120_000);

test.each([
  ["that are new", 0],
  ["that say they are old", 1_600_000_000_000],
])(
  "a room that floods us with 2,000 events a second %s is left, and not entered again soon",
  async (_what, ts) => {
    const target = await Target.open();
    const { homeserver } = target;
    const token = await target.daemon.tenant("one");
    const room = target.room({ id: "!flood:evil.test", creator: "@c:evil.test" });
    let sent = 0;
    const { cost, result } = await target.during(
      `2,000 events a second${ts === 0 ? "" : ", with old times"}`,
      async () => {
        await target.join(token, room.id);
        await target.peek(room.id, target.user("reader"));
        const end = performance.now() + 20_000;
        while (target.isIn(room) && performance.now() < end) {
          for (const nr of numbers(100)) {
            const content = { msgtype: "m.text", body: `flood ${nr} `.repeat(20) };
            const event = room.append("m.room.message", "@c:evil.test", content);
            homeserver.sender.push(ts === 0 ? event : { ...event, origin_server_ts: ts });
          }
          sent += 100;
          await pause(50);
        }
        await target.untilDelivered();
        return Promise.all([target.join(token, room.id), target.peek(room.id, target.user("other"))]);
      },
    );
    expect(target.isIn(room)).toBe(false);
    expect(result.map((answer) => answer?.body[REASON])).toEqual(["flooded", "flooded"]);
    expect([cost.joins, cost.leaves]).toEqual([1, 1]);
    expect(sent).toBeLessThan(30_000);
    expect(cost.journal).toBeLessThan(20 * MIB);
  },
  60_000,
);
