import { describe, expect, test } from "vitest";
import type { EventId, TenantId } from "../../src/model/ids.ts";
import { START } from "../support/clock.ts";
import { message, recordOf, ROOM } from "../support/events.ts";
import { DATABASES, type Stores } from "../support/storage.ts";
import { tenant } from "../support/tenants.ts";

const TELEGRAM = "telegram" as TenantId;
const IRC = "irc" as TenantId;
/** The opening in which a transaction is begun. */
const NOW = "now";
const URL = "http://127.0.0.1:29317";

async function add({ tenants }: Stores, id: string, url: string | null = URL): Promise<void> {
  expect(await tenants.add({ tenant: tenant(id, { url }), tokenHash: `hash of ${id}`, hsSalt: "" }, START)).toBe(true);
}

/** Transactions of two events each, a second apart. */
async function write(stores: Stores, transactions: number): Promise<void> {
  const { last } = await stores.journal.bounds();
  for (let number = last; number < last + 2 * transactions; number += 2) {
    const events = [message({ id: String(number + 1) }), message({ id: String(number + 2) })];
    await stores.ledger.record(recordOf(`t${number}`, events, { receivedAt: START + number * 500 }));
  }
}

const step = (cursor: number, pendingTo: number | null, id = TELEGRAM, epoch = 1) => ({
  tenant: id,
  epoch,
  cursor,
  pendingTo,
  opening: NOW,
});

describe.each(DATABASES)("deliveries on $name", ({ make }) => {
  test("begin at the journal's end of the moment when the tenant was added; without a URL there are none", async () => {
    const stores = make().open();
    await write(stores, 2);
    await add(stores, "telegram");
    await add(stores, "irc", null);
    expect(await stores.deliveries.place(TELEGRAM)).toEqual({ epoch: 1, cursor: 4, pendingTo: null, opening: "" });
    expect(await stores.deliveries.place(IRC)).toBeNull();
  });

  test("are where they were written to be, for several tenants in one commit, also after a crash", async () => {
    const database = make();
    const stores = database.open();
    await add(stores, "telegram");
    await add(stores, "irc");
    await stores.deliveries.write([step(0, 2), step(5, null, IRC)]);
    const { deliveries } = database.openAfterCrash();
    expect(await deliveries.place(TELEGRAM)).toEqual({ epoch: 1, cursor: 0, pendingTo: 2, opening: NOW });
    expect(await deliveries.place(IRC)).toEqual({ epoch: 1, cursor: 5, pendingTo: null, opening: NOW });
    await deliveries.write([step(2, null)]);
    expect(await deliveries.place(TELEGRAM)).toEqual({ epoch: 1, cursor: 2, pendingTo: null, opening: NOW });
  });

  test("do not go back, and what is written of a tenant that is gone does not come to the next of its name", async () => {
    const stores = make().open();
    await add(stores, "telegram");
    await stores.deliveries.write([step(9, null)]);
    await stores.deliveries.write([step(5, 7)]);
    expect(await stores.deliveries.place(TELEGRAM)).toEqual({ epoch: 1, cursor: 9, pendingTo: null, opening: NOW });
    await stores.tenants.remove(TELEGRAM, START);
    await stores.deliveries.write([step(9, 12)]);
    expect(await stores.deliveries.place(TELEGRAM)).toBeNull();
    await write(stores, 10);
    await add(stores, "telegram");
    await stores.deliveries.write([step(9, 12)]);
    expect(await stores.deliveries.place(TELEGRAM)).toEqual({ epoch: 1, cursor: 20, pendingTo: null, opening: "" });
  });

  test("a replay sets back, drops what was pending, and leaves nothing to what was decided before", async () => {
    const stores = make().open();
    await add(stores, "telegram");
    await write(stores, 3);
    await stores.deliveries.write([step(4, 6)]);
    expect(await stores.deliveries.replay(TELEGRAM, { seq: 3 }, START)).toEqual({ kind: "done", from: 3 });
    const replayed = { epoch: 2, cursor: 2, pendingTo: null, opening: NOW };
    expect(await stores.deliveries.place(TELEGRAM)).toEqual(replayed);
    await stores.deliveries.write([step(6, null)]);
    expect(await stores.deliveries.place(TELEGRAM)).toEqual(replayed);
    await stores.deliveries.write([step(2, 6, TELEGRAM, 2)]);
    expect(await stores.deliveries.place(TELEGRAM)).toEqual({ ...replayed, pendingTo: 6 });
    expect((await stores.audit.newest(null, 1))[0]).toMatchObject({
      actor: "operator",
      action: "tenant.replay",
      detail: { tenant: "telegram", from: 3 },
    });
  });

  test.each([
    ["the beginning", 0, 1],
    ["a transaction's moment", 1_000, 3],
    ["a moment between two", 1_001, 5],
  ])("a replay from %s begins with what came then", async (_what, after, from) => {
    const stores = make().open();
    await add(stores, "telegram");
    await write(stores, 3);
    await stores.deliveries.write([step(6, null)]);
    expect(await stores.deliveries.replay(TELEGRAM, { at: START + after }, START)).toEqual({ kind: "done", from });
  });

  test("a skip moves past the event that is alone in what is pending, and past no other", async () => {
    const stores = make().open();
    const { deliveries, audit } = stores;
    await add(stores, "telegram");
    const stuck = { seq: 4, eventId: "$4" as EventId, roomId: ROOM, type: "m.room.message", bytes: 9, since: START };
    await deliveries.write([step(3, 6)]);
    expect(await deliveries.skip(TELEGRAM, stuck, START)).toBe(false);
    await deliveries.write([step(3, 4)]);
    expect(await deliveries.skip(TELEGRAM, stuck, START)).toBe(true);
    expect(await deliveries.place(TELEGRAM)).toMatchObject({ epoch: 1, cursor: 4, pendingTo: null });
    expect(await deliveries.skip(TELEGRAM, stuck, START)).toBe(false);
    expect(await audit.newest(null, 1)).toMatchObject([
      {
        actor: "operator",
        action: "tenant.skip",
        roomId: ROOM,
        detail: { tenant: "telegram", event_id: "$4", seq: 4 },
      },
    ]);
  });

  test("a replay gives nothing that is gone, or has yet to be given", async () => {
    const stores = make().open();
    await add(stores, "telegram");
    await write(stores, 4);
    await stores.deliveries.write([step(6, null)]);
    await stores.history.trim(4);
    const { deliveries } = stores;
    expect(await deliveries.replay(TELEGRAM, { seq: 4 }, START)).toEqual({ kind: "gone", oldest: 5 });
    expect(await deliveries.replay(TELEGRAM, { at: START }, START)).toEqual({ kind: "gone", oldest: 5 });
    expect(await deliveries.replay(TELEGRAM, { seq: 7 }, START)).toEqual({ kind: "not-yet", next: 7 });
    expect(await deliveries.replay(TELEGRAM, { at: START + 10 ** 9 }, START)).toEqual({ kind: "not-yet", next: 7 });
    expect(await deliveries.replay(IRC, { seq: 5 }, START)).toBeNull();
    expect(await deliveries.place(TELEGRAM)).toEqual({ epoch: 1, cursor: 6, pendingTo: null, opening: NOW });
  });

  test("a lag is how many events lie beyond, and when the first of them came", async () => {
    const stores = make().open();
    expect(await stores.deliveries.lag(0)).toEqual({ events: 0, oldestAt: null });
    await write(stores, 3);
    expect(await stores.deliveries.lag(0)).toEqual({ events: 6, oldestAt: START });
    expect(await stores.deliveries.lag(3)).toEqual({ events: 3, oldestAt: START + 1_000 });
    expect(await stores.deliveries.lag(6)).toEqual({ events: 0, oldestAt: null });
  });
});
