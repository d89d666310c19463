import { expect, test } from "vitest";
import type { Step } from "../../../../src/tenants/store/deliveries.ts";
import { Couriers } from "../../../../src/tenants/delivery/couriers.ts";
import type { TenantId } from "../../../../src/model/ids.ts";
import { Signal } from "../../../../src/concurrency/signal.ts";
import type { Tenant } from "../../../../src/model/tenant.ts";
import type { Push, PushAnswer } from "../../../../src/http/push.ts";
import { silent } from "../../../support/attending.ts";
import { ManualClock, seededRandom } from "../../../support/clock.ts";
import { OWN } from "../../../support/events.ts";
import { tenant } from "../../../support/tenants.ts";
import { calm, FakeFeed } from "./world.ts";

const OK: PushAnswer = { heard: true, status: 200, body: Buffer.from("{}"), isWhole: true };

/** The couriers of these tenants; `answer` says what becomes of what they push. */
function scene(tenants: Tenant[], answer: (push: Push) => Promise<PushAnswer> = async () => OK) {
  const feed = new FakeFeed();
  const places = new Map<TenantId, Step>();
  const counted: string[] = [];
  const here = {
    feed,
    tenants,
    places,
    counted,
    commits: 0,
    pushed: [] as Push[],
    changed: new Signal(),
    committed: new Signal(),
    clock: new ManualClock(),
    async arrives(count = 1): Promise<void> {
      for (let left = count; left > 0; left -= 1) feed.append(true);
      here.committed.notify();
      await calm();
    },
  };
  const couriers = new Couriers({
    tenants: {
      all: () => here.tenants,
      byId: (id) => here.tenants.find((one) => one.id === id) ?? null,
      isPersona: () => false,
      hsTokenOf: (id) => `token of ${id}`,
      changed: here.changed,
    },
    feed,
    store: {
      place: async (id) => places.get(id) ?? { epoch: 1, cursor: 0, pendingTo: null, opening: "" },
      write: async (steps) => {
        here.commits += 1;
        for (const step of steps) places.set(step.tenant, step);
      },
      replay: async () => null,
      skip: async () => false,
      lag: async (after) => ({ events: feed.last - after, oldestAt: feed.last > after ? 7 : null }),
    },
    opening: "now",
    leases: { find: async () => null },
    pusher: {
      push: async (push) => {
        here.pushed.push(push);
        return answer(push);
      },
    },
    committed: here.committed,
    own: OWN,
    clock: here.clock,
    random: seededRandom(1),
    log: silent,
    count: (id, what, by) => counted.push(`${id} ${what} ${by}`),
    forget: (id) => counted.push(`${id} forgotten`),
  });
  return Object.assign(here, { couriers });
}

const at = (number: number): Tenant => tenant(`t${number}`, { url: `http://127.0.0.1:${number + 1}/base/` });

test("an event for a hundred tenants is three commits: one before it is sent, one or two when it is taken", async () => {
  const here = scene(Array.from({ length: 100 }, (_, number) => at(number)));
  here.couriers.start();
  await calm();
  await here.arrives();
  expect(here.pushed).toHaveLength(100);
  await here.clock.advance(100);
  expect(here.commits).toBeLessThanOrEqual(3);
  expect([...here.places.values()].every(({ cursor, pendingTo }) => cursor === 1 && pendingTo === null)).toBe(true);
  await here.couriers.stop();
});

test("a transaction goes below the path of the tenant's URL, with its token in the header alone", async () => {
  const here = scene([at(1)]);
  here.couriers.start();
  await here.arrives();
  const [push] = here.pushed;
  expect(push?.url.href).toBe("http://127.0.0.1:2/base/_matrix/app/v1/transactions/now.1.1-1");
  expect(push?.token).toBe("token of t1");
  await here.couriers.stop();
});

test("a tenant that never answers holds up nobody, and is told of as being behind", async () => {
  const [slow, quick] = [at(1), at(2)];
  const here = scene([slow, quick], ({ url }) =>
    url.port === "2" ? new Promise(() => undefined) : Promise.resolve(OK),
  );
  here.couriers.start();
  for (let round = 0; round < 5; round += 1) await here.arrives();
  expect(here.pushed.filter(({ url }) => url.port === "3")).toHaveLength(5);
  expect(here.pushed.filter(({ url }) => url.port === "2")).toHaveLength(1);
  expect(await here.couriers.report(slow)).toMatchObject({ lag: 5, oldestAt: 7 });
  expect(await here.couriers.report(quick)).toMatchObject({ lag: 0, oldestAt: null, isFailing: false });
});

test("couriers come and go with tenants, their pauses, their URLs and their tokens", async () => {
  const here = scene([at(1), tenant("poller")]);
  const change = async (tenants: Tenant[]): Promise<void> => {
    here.tenants = tenants;
    here.changed.notify();
    await calm();
  };
  here.couriers.start();
  await here.arrives();
  expect(here.pushed.map(({ url }) => url.port)).toEqual(["2"]);
  expect(await here.couriers.report(tenant("poller"))).toBeNull();

  await change([{ ...at(1), pausedAt: 5 }]);
  await here.arrives();
  expect(here.pushed).toHaveLength(1);
  expect(await here.couriers.report(at(1))).toMatchObject({ lag: 1 });

  await change([{ ...at(1), url: "http://127.0.0.1:9" }]);
  expect(here.pushed.map(({ url }) => url.port)).toEqual(["2", "9"]);

  await change([]);
  await here.arrives();
  expect(here.pushed).toHaveLength(2);
  expect(here.counted).toEqual(["t1 delivered 1", "t1 delivered 1", "t1 forgotten"]);
  await here.couriers.stop();
});

test("stopping writes where everybody stands", async () => {
  const here = scene([at(1)]);
  here.couriers.start();
  await here.arrives(3);
  await here.couriers.stop();
  expect([...here.places.values()]).toMatchObject([{ cursor: 3, pendingTo: null }]);
});
