/** That the running service keeps to its limits; what they mean exactly is in test/store/retention.test.ts. */
import path from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { EVENT_MEMORY, TRANSACTION_MEMORY } from "../../src/ledger/recorder.ts";
import type { JsonObject } from "../../src/model/json.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { SqliteStorage } from "../../src/app/stores.ts";
import { message, recordOf } from "../support/events.ts";
import { ask, eventually, startService, temporaryFolder } from "../support/service-app.ts";

test("what is older than storage.audit_keep goes out of the audit while the service runs", async () => {
  const service = await startService({ settings: { storage: { auditKeep: 30_000 } } });
  await service.tenant("one");
  const audited = (): Promise<unknown[]> =>
    service.admin("GET", "/audit").then(({ body }) => body["entries"] as unknown[]);
  expect(await audited()).toHaveLength(1);
  await eventually("the audit being cut", async () => (await audited()).length === 0);
  expect(service.log.events("debug")).toContain("retention.audit-cut");
  expect(service.log.events("error")).toEqual([]);
});

test("a consumer that keeps the journal from being cut is named once in the log, and in the status until it has read", async () => {
  const sqlite = path.join(temporaryFolder(), "emissary.db");
  const receivedAt = systemClock.now() - 86_400_000;
  const record = (txnId: string, events: number) =>
    recordOf(
      txnId,
      Array.from({ length: events }, (_, index) => message({ id: `${txnId}-${index}` })),
      { receivedAt },
    );
  const storage = new SqliteStorage(sqlite);
  // One event that may go, and then all that the recorder needs.
  await storage.ledger.record(record("old", 1));
  await storage.ledger.record(record("many", EVENT_MEMORY));
  for (let n = 0; n < TRANSACTION_MEMORY; n += 1) await storage.ledger.record(record(`one-${n}`, 1));
  await storage.journal.advance("sleepy", 0);
  storage.close();

  const service = await startService({ sqlite, settings: { storage: { journalKeep: 3_600_000 } } });
  const journal = async (): Promise<JsonObject> =>
    (await service.admin("GET", "/status")).body["journal"] as JsonObject;
  const metrics = async (): Promise<string> =>
    (await ask(service.app.ports.admin, "GET", "/metrics")).raw.toString("utf8");
  const last = 1 + EVENT_MEMORY + TRANSACTION_MEMORY;
  await eventually("the consumer being found", async () => (await metrics()).includes("emissary_journal_laggards 1"));
  expect(await journal()).toMatchObject({
    first_seq: 1,
    last_seq: last,
    oldest_at: receivedAt,
    held_by: [{ consumer: "sleepy", seq: 0, events_behind: last, unread_since: receivedAt }],
  });
  expect(await metrics()).toContain(`emissary_journal_events ${last}`);
  expect(await metrics()).toMatch(/^emissary_journal_bytes [1-9]\d{6}/m);
  expect(Number(/^emissary_journal_oldest_age_seconds (.*)$/m.exec(await metrics())?.[1])).toBeGreaterThan(86_000);

  const reader = new Database(sqlite);
  onTestFinished(() => void reader.close());
  // Rounds later nothing has changed.
  await service.clock.sleep(130_000);
  reader.exec("UPDATE cursors SET seq = 1");
  await eventually("the oldest event being removed", async () => (await journal())["first_seq"] === 2);
  expect((await journal())["held_by"]).toEqual([]);
  const told = service.log.entries.filter(({ event }) => /^retention\.(held|released)$/.test(event));
  expect(told).toMatchObject([
    { level: "warn", event: "retention.held", fields: { consumer: "sleepy", events_behind: last } },
    { level: "info", event: "retention.released", fields: { consumer: "sleepy" } },
  ]);
});
