/**
 * One caller's slowness is its own: whatever one tenant, user or stranger begins and does not end, another tenant's send and join and a
 * user's look are answered, and memory stays bounded. Times are printed; `npm run bench:slow` says how much slower others are.
 */
import { expect, test } from "vitest";
import { Target } from "../support/lures.ts";
import { SLOW_ATTACKS } from "../support/slow-attacks.ts";
import { Bystanders, printed, Slow } from "../support/slow.ts";

const MOST_MEMORY = 300 * 2 ** 20;
const ROUNDS = Number(process.env["EMISSARY_SLOW_ROUNDS"] ?? 20);

test.each(SLOW_ATTACKS)(
  "$what: all others are answered",
  async ({ what, begin }) => {
    const target = await Target.open("", () => {}, "tenant_rate: 1000, tenant_burst: 5000");
    const bystanders = await Bystanders.enter(target);
    const slow = new Slow(target.gatewayPort);
    const measured = await bystanders.measure(() => begin(target, slow), ROUNDS);
    const memory = target.daemon.peakMemory;
    process.stdout.write(printed(what, measured, memory));
    expect(measured.refused).toEqual([]);
    expect(memory).toBeLessThan(MOST_MEMORY);
  },
  120_000,
);
