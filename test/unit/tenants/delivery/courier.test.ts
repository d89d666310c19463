import { describe, expect, test } from "vitest";
import type { Outcome } from "../../../../src/tenants/delivery/outcome.ts";
import { calm, Disk, eventIdsIn, FakeFeed, FakeTenant, makeCourier, REFUSED, TAKEN } from "./world.ts";

/** A courier in front of a tenant that answers as the test has it. */
function scene(answer: () => Outcome | Promise<Outcome> = () => TAKEN) {
  const [feed, disk, tenant] = [new FakeFeed(), new Disk(), new FakeTenant()];
  const made = makeCourier({
    feed,
    disk,
    put: async (put) => {
      tenant.take(put);
      return answer();
    },
  });
  return { ...made, feed, disk, tenant };
}

type Scene = ReturnType<typeof scene>;

async function events({ feed, courier }: Scene, count: number, concerns = true): Promise<void> {
  for (let left = count; left > 0; left -= 1) feed.append(concerns);
  courier.stir();
  await calm();
}

const TYPING = { type: "m.typing", room_id: "!r:x", content: { user_ids: ["@alice:x"] } };

describe("a transaction", () => {
  test("holds at most a hundred events, and its ID tells which", async () => {
    const here = scene();
    await events(here, 250);
    here.courier.start();
    await calm();
    expect(here.tenant.puts.map(({ txnId }) => txnId)).toEqual(["now.1.1-100", "now.1.101-200", "now.1.201-250"]);
    expect(here.tenant.events).toEqual(here.feed.wanted);
    await here.courier.stop();
  });

  test("costs one commit while there is more: the end of one is written with the beginning of the next", async () => {
    const here = scene();
    await events(here, 1_000);
    here.courier.start();
    await calm();
    expect(here.tenant.puts).toHaveLength(10);
    expect(here.disk.commits).toBe(10);
    await here.clock.advance(100);
    expect(here.disk.commits).toBe(11);
    expect(here.disk.at).toEqual({ epoch: 1, cursor: 1_000, pendingTo: null, opening: "now" });
    await here.courier.stop();
  });

  test("that was not taken comes again as it was, and what came meanwhile waits for the next", async () => {
    let answer: Outcome = REFUSED;
    const here = scene(() => answer);
    here.courier.start();
    await events(here, 2);
    await events(here, 3);
    expect(here.tenant.puts).toHaveLength(1);
    answer = TAKEN;
    await here.clock.advance(60_000);
    expect(here.tenant.puts.map(({ txnId }) => txnId)).toEqual(["now.1.1-2", "now.1.1-2", "now.1.3-5"]);
    expect(new Set(here.tenant.puts.slice(0, 2).map(({ body }) => body)).size).toBe(1);
    await here.courier.stop();
  });

  test("that was under way when the program stopped comes again, and first", async () => {
    const here = scene(() => REFUSED);
    here.courier.start();
    await events(here, 2);
    await here.courier.stop();
    await here.commits.close();
    for (let left = 3; left > 0; left -= 1) here.feed.append(true);
    const next = makeCourier({
      feed: here.feed,
      disk: here.disk,
      put: async (put) => {
        here.tenant.take(put);
        return TAKEN;
      },
    });
    next.courier.start();
    await calm();
    expect(here.tenant.puts.map(({ txnId }) => txnId)).toEqual(["now.1.1-2", "now.1.1-2", "now.1.3-5"]);
    await next.courier.stop();
  });
});

describe("what does not concern the tenant", () => {
  test("is passed without a transaction, and its cursor follows in a while", async () => {
    const here = scene();
    here.courier.start();
    await events(here, 400, false);
    expect([here.tenant.puts, here.disk.commits, here.state.cursor]).toEqual([[], 0, 400]);
    await events(here, 100, false);
    await here.clock.advance(10_000);
    expect([here.disk.commits, here.disk.at.cursor]).toEqual([1, 500]);
    await here.courier.stop();
  });
});

describe("a tenant that fails", () => {
  test("is tried with growing pauses of a minute at most, told of once, and again when it is back", async () => {
    let answer: Outcome = REFUSED;
    const here = scene(() => answer);
    here.courier.start();
    await events(here, 1);
    await here.clock.advance(60 * 60_000);
    const { length } = here.tenant.puts;
    expect(length).toBeGreaterThan(60);
    expect(length).toBeLessThan(140);
    expect(here.counts).toMatchObject({ delivered: 0, failed: length });
    answer = TAKEN;
    await here.clock.advance(60_000);
    expect(here.log.entries).toEqual([
      "warn tenant.delivery-failed",
      "warn tenant.delivery-stuck",
      "info tenant.delivery-resumed",
    ]);
    expect(here.state.tries).toBe(0);
    await here.courier.stop();
  });

  test("is tried at once when it is heard of", async () => {
    let answer: Outcome = REFUSED;
    const here = scene(() => answer);
    here.courier.start();
    await events(here, 1);
    await here.clock.advance(30 * 60_000);
    answer = TAKEN;
    here.courier.hurry();
    await calm();
    expect(here.state.cursor).toBe(1);
    await here.courier.stop();
  });

  test("because of its token is told of by that name, once", async () => {
    const here = scene(() => ({ ...REFUSED, isToken: true, blames: "nothing" }));
    here.courier.start();
    await events(here, 1);
    await here.clock.advance(30 * 60_000);
    expect(here.log.entries).toEqual(["warn tenant.token-refused"]);
    await here.courier.stop();
  });
});

describe("ephemeral events", () => {
  test("come in a transaction of their own, under both names", async () => {
    const here = scene();
    here.courier.start();
    here.courier.offer(TYPING);
    await calm();
    expect(here.tenant.puts).toHaveLength(1);
    const body: unknown = JSON.parse(here.tenant.puts[0]?.body ?? "");
    expect(body).toEqual({ events: [], ephemeral: [TYPING], "de.sorunome.msc2409.ephemeral": [TYPING] });
    await here.courier.stop();
  });

  test("are dropped, not kept, while the tenant does not take events", async () => {
    let answer: Outcome = REFUSED;
    const here = scene(() => answer);
    here.courier.start();
    await events(here, 1);
    here.courier.offer(TYPING);
    answer = TAKEN;
    await here.clock.advance(60_000);
    expect(here.tenant.ephemeral).toEqual([]);
    expect(here.counts["ephemeral-dropped"]).toBe(1);
    here.courier.offer(TYPING);
    await calm();
    expect(here.tenant.ephemeral).toEqual([TYPING]);
    await here.courier.stop();
  });

  test("that were not taken do not come again, and do not hold up events", async () => {
    let answer: Outcome = REFUSED;
    const here = scene(() => answer);
    here.courier.start();
    here.courier.offer(TYPING);
    await calm();
    answer = TAKEN;
    await events(here, 1);
    expect(here.tenant.puts.map(({ body }) => eventIdsIn(body).length)).toEqual([0, 1]);
    await here.clock.advance(60_000);
    expect(here.tenant.ephemeral).toHaveLength(1);
    await here.courier.stop();
  });

  test("of which there are too many lose the oldest", async () => {
    const here = scene();
    for (let number = 0; number < 130; number += 1) here.courier.offer({ ...TYPING, number });
    here.courier.start();
    await calm();
    expect(here.tenant.ephemeral.map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, at) => at + 30));
    expect(here.counts["ephemeral-dropped"]).toBe(30);
    await here.courier.stop();
  });
});
