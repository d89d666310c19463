import { describe, expect, onTestFinished, test } from "vitest";
import { expiredLeases } from "../../../src/ledger/cleaning.ts";
import { Signal } from "../../../src/concurrency/signal.ts";
import { workUntil } from "../../../src/concurrency/worker.ts";
import { silent } from "../../support/attending.ts";
import { ManualClock, settle, START } from "../../support/clock.ts";

/** Leases, of which only the ends are known. */
class Ends {
  readonly ended: number[] = [];
  readonly #live: number[];
  isBroken = false;

  constructor(live: readonly number[]) {
    this.#live = [...live];
  }

  add(expiresAt: number): void {
    this.#live.push(expiresAt);
  }

  async expire(now: number, limit: number): Promise<number> {
    if (this.isBroken) throw new Error("the disk is full");
    const over = this.#live.filter((end) => end <= now).slice(0, limit);
    for (const end of over) this.#live.splice(this.#live.indexOf(end), 1);
    this.ended.push(...over);
    return over.length;
  }

  async nextExpiry(): Promise<number | null> {
    return this.#live.length === 0 ? null : Math.min(...this.#live);
  }
}

function sweep(live: readonly number[]) {
  const clock = new ManualClock();
  const store = new Ends(live.map((after) => START + after));
  const abort = new AbortController();
  const changed = new Signal();
  const done = workUntil(abort.signal, expiredLeases({ leases: store, ended: changed, clock, log: silent }));
  onTestFinished(async () => {
    abort.abort();
    await done;
  });
  const ended = (): number[] => store.ended.map((end) => end - START);
  return { clock, store, abort, changed, done, ended };
}

describe("the sweeper", () => {
  test("ends each lease at its time, and those that were over at the start at once", async () => {
    const { clock, ended } = sweep([-5, 1_000, 2_000]);
    await settle();
    expect(ended()).toEqual([-5]);
    await clock.advance(999);
    expect(ended()).toEqual([-5]);
    await clock.advance(1);
    expect(ended()).toEqual([-5, 1_000]);
    await clock.advance(1_000);
    expect(ended()).toEqual([-5, 1_000, 2_000]);
  });

  test("notices within seconds a lease that was booked while it slept", async () => {
    const { clock, store, ended } = sweep([]);
    await settle();
    store.add(START + 3_000);
    await clock.advance(15_000);
    expect(ended()).toEqual([3_000]);
  });

  test("ends any number that are over at once", async () => {
    const { clock, ended } = sweep(Array.from({ length: 1_000 }, () => 5));
    await clock.advance(5);
    expect(ended()).toHaveLength(1_000);
  });

  test("has attendance look when leases ended, and lets it sleep when none did", async () => {
    const { clock, changed } = sweep([1_000]);
    let woken = 0;
    const again = async (): Promise<void> => {
      for (;;) {
        await changed.next(new AbortController().signal);
        woken += 1;
      }
    };
    void again();
    await clock.advance(999);
    expect(woken).toBe(0);
    await clock.advance(60_000);
    expect(woken).toBe(1);
  });

  test("goes on after a round that failed", async () => {
    const { clock, store, ended } = sweep([1_000]);
    await settle();
    store.isBroken = true;
    await clock.advance(30_000);
    store.isBroken = false;
    await clock.advance(30_000);
    expect(ended()).toEqual([1_000]);
  });

  test("ends at once when told to", async () => {
    const { clock, abort, done } = sweep([60_000]);
    await settle();
    abort.abort();
    await done;
    expect(clock.sleepers).toBe(0);
  });
});
