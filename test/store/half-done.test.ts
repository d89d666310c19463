/** What is to be undone at the homeserver stands in the database until it is. */
import { describe, expect, test } from "vitest";
import type { RoomAlias, RoomId, TenantId, UserId } from "../../src/model/ids.ts";
import { DATABASES } from "../support/storage.ts";

const ROOM = "!room:b.example" as RoomId;
const [ANNA, BERT] = ["@_one_anna:ours.example", "@_one_bert:ours.example"] as UserId[] as [UserId, UserId];
const ONE = "one" as TenantId;

describe.each(DATABASES)("on $name", ({ make }) => {
  test("users that are to be out of rooms, each once in a room, in the order of their time", async () => {
    const { standIns } = make().open();
    expect([await standIns.due(1_000, 10), await standIns.nextDue()]).toEqual([[], null]);
    await standIns.add({ roomId: ROOM, userId: ANNA, tenant: ONE, reason: "no" }, 300);
    await standIns.add({ roomId: ROOM, userId: BERT, tenant: ONE, reason: null }, 200);
    const [bert] = await standIns.due(250, 10);
    expect(bert).toEqual({ roomId: ROOM, userId: BERT, tenant: ONE, reason: null, tries: 0 });
    await standIns.scheduleRetry({ ...bert!, tries: 4 }, 900);
    expect((await standIns.due(1_000, 10)).map(({ userId, tries }) => [userId, tries])).toEqual([
      [ANNA, 0],
      [BERT, 4],
    ]);
    expect(await standIns.due(1_000, 1)).toHaveLength(1);
    // Another intention for the same user replaces the one before.
    await standIns.add({ roomId: ROOM, userId: BERT, tenant: ONE, reason: "now" }, 100);
    expect((await standIns.due(100, 10)).map(({ reason, tries }) => [reason, tries])).toEqual([["now", 0]]);
    await standIns.remove(ROOM, BERT);
    expect(await standIns.nextDue()).toBe(300);
  });

  test("rooms that are being made, until the tenant has them", async () => {
    const { makings } = make().open();
    const alias = "#lounge:ours.example" as RoomAlias;
    const [first, second] = [await makings.begin(ONE, alias), await makings.begin(ONE, null)];
    await makings.made(first, ROOM);
    expect(await makings.all()).toEqual([
      { id: first, tenant: ONE, alias, roomId: ROOM },
      { id: second, tenant: ONE, alias: null, roomId: null },
    ]);
    await makings.end(first);
    expect((await makings.all()).map(({ id }) => id)).toEqual([second]);
  });
});
