/** Events that tenants sent, by their transaction IDs. */
import { expect, test } from "vitest";
import type { EventId, TenantId, UserId } from "../../src/model/ids.ts";
import { SqliteSentStore } from "../../src/tenants/store/sent.ts";
import { AuditStore } from "../../src/storage/audit.ts";
import { WriteCount } from "../../src/storage/memo.ts";
import { openDatabase } from "../../src/storage/open.ts";
import { temporaryFolder } from "../support/service-app.ts";

const owner = (tenant: string, persona: string | null = null) => ({
  tenant: tenant as TenantId,
  persona: persona as UserId | null,
});

function sentIn(db: ReturnType<typeof openDatabase>, kept?: number) {
  const store = new SqliteSentStore(db, new AuditStore(db, new WriteCount(db)), kept);
  const send = (txnId: string, of: ReturnType<typeof owner>, at: number) => {
    const sent = { txnId, eventId: `$${txnId}` as EventId, owner: of };
    return store.noteAll([{ actor: "t", action: "send", outcome: "done", roomId: null, detail: {}, sent }], at);
  };
  return { store, send };
}

test("each tenant has its newest kept, however many others send", async () => {
  const db = openDatabase(`${temporaryFolder()}/emissary.db`, "full");
  const { store, send } = sentIn(db, 100);
  await send("quiet", owner("quiet", "@p:x"), 5);
  for (let at = 0; at < 1_000; at += 1) {
    await send(`loud${at}`, owner("loud"), at);
  }
  expect(await store.find("quiet", 4)).toBe("$quiet");
  expect(await store.find("quiet", 5)).toBeNull();
  expect(await store.find("loud999", 0)).toBe("$loud999");
  expect(await store.find("loud800", 0)).toBeNull();
  const owners = await store.ownersOf(["$quiet", "$loud999", "$nobody", "$loud0"]);
  expect([...owners]).toEqual([
    ["$quiet", owner("quiet", "@p:x")],
    ["$loud999", owner("loud")],
  ]);
  // 1,000 rows, looked at each 64.
  expect(db.prepare("SELECT count(*) AS rows FROM sent_events").get()).toEqual({
    rows: expect.closeTo(133, -2) as number,
  });
  db.close();
});

test("an ID that is used again long after is the newer event", async () => {
  const db = openDatabase(`${temporaryFolder()}/emissary.db`, "full");
  const { store } = sentIn(db);
  const send = (eventId: string, at: number) => {
    const sent = { txnId: "1", eventId: eventId as EventId, owner: owner("one") };
    return store.noteAll([{ actor: "t", action: "send", outcome: "done", roomId: null, detail: {}, sent }], at);
  };
  await send("$old", 5);
  await send("$new", 50);
  expect(await store.find("1", 10)).toBe("$new");
  db.close();
});
