import { describe, expect, test } from "vitest";
import { READ_COST, TenantRates, WRITE_COST } from "../../../../src/tenants/act/checks/rate.ts";
import { EmissaryError } from "../../../../src/model/errors.ts";
import type { TenantId } from "../../../../src/model/ids.ts";
import { ManualClock } from "../../../support/clock.ts";

const [TELEGRAM, IRC] = ["telegram" as TenantId, "irc" as TenantId];

function scene() {
  const clock = new ManualClock();
  const rates = new TenantRates({ tenantRate: 10, tenantBurst: 20 }, clock);
  /** How many writes pass until one is refused, and when the next may come. */
  const drain = (tenant: TenantId, cost = WRITE_COST): { passed: number; retryAfter: number | null } => {
    for (let passed = 0; ; passed += 1) {
      try {
        rates.spend(tenant, cost);
      } catch (error) {
        expect(error).toMatchObject({ code: "limited", reason: "tenant-rate" });
        return { passed, retryAfter: error instanceof EmissaryError ? error.retryAfter : null };
      }
    }
  };
  return { clock, drain };
}

describe("a tenant's requests", () => {
  test("pass in a burst, and then at the rate, and are told when to come again", async () => {
    const { clock, drain } = scene();
    expect(drain(TELEGRAM)).toEqual({ passed: 20, retryAfter: 100 });
    await clock.advance(50);
    expect(drain(TELEGRAM)).toEqual({ passed: 0, retryAfter: 50 });
    await clock.advance(50);
    expect(drain(TELEGRAM)).toEqual({ passed: 1, retryAfter: 100 });
    await clock.advance(1_000);
    expect(drain(TELEGRAM).passed).toBe(10);
  });

  test("save up no more than a burst in a long rest", async () => {
    const { clock, drain } = scene();
    drain(TELEGRAM);
    await clock.advance(3_600_000);
    expect(drain(TELEGRAM).passed).toBe(20);
  });

  test("do not count against another tenant", () => {
    const { drain } = scene();
    drain(TELEGRAM);
    expect(drain(IRC).passed).toBe(20);
  });

  test("count for a fifth where they are reads", () => {
    expect(scene().drain(TELEGRAM, READ_COST).passed).toBeGreaterThanOrEqual(99);
  });

  test("are not held up by a clock that is set back", async () => {
    const { clock, drain } = scene();
    drain(TELEGRAM);
    clock.jumpTo(clock.now() - 3_600_000);
    expect(drain(TELEGRAM)).toEqual({ passed: 0, retryAfter: 100 });
    await clock.advance(100);
    expect(drain(TELEGRAM).passed).toBe(1);
  });
});
