/** That the running service keeps to its limits; what they mean exactly is in test/store/retention.test.ts. */
import { expect, test } from "vitest";
import { eventually, startService } from "../support/service-app.ts";

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
