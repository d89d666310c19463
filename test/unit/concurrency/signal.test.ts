import { describe, expect, test } from "vitest";
import { Signal } from "../../../src/concurrency/signal.ts";
import { settle } from "../../support/clock.ts";

const NEVER = new AbortController().signal;

/** Notes in `woken` who was woken. */
function waiter(signal: Signal, woken: string[], name: string, abort = NEVER): void {
  void signal.next(abort).then(() => woken.push(name));
}

describe("a signal", () => {
  test("wakes everybody who waits, once", async () => {
    const signal = new Signal();
    const woken: string[] = [];
    waiter(signal, woken, "a");
    waiter(signal, woken, "b");
    await settle();
    expect(woken).toEqual([]);
    signal.notify();
    signal.notify();
    await settle();
    expect(woken).toEqual(["a", "b"]);
  });

  test("is not kept for whoever comes later", async () => {
    const signal = new Signal();
    const woken: string[] = [];
    signal.notify();
    waiter(signal, woken, "late");
    await settle();
    expect(woken).toEqual([]);
    signal.notify();
    await settle();
    expect(woken).toEqual(["late"]);
  });

  test("lets go whoever gives up, and only those", async () => {
    const signal = new Signal();
    const woken: string[] = [];
    const abort = new AbortController();
    waiter(signal, woken, "gives up", abort.signal);
    waiter(signal, woken, "stays");
    abort.abort();
    await settle();
    expect(woken).toEqual(["gives up"]);
    signal.notify();
    await settle();
    expect(woken).toEqual(["gives up", "stays"]);
  });

  test("does not hold whoever has given up before", async () => {
    await new Signal().next(AbortSignal.abort());
  });

  test("whoever waits again while being woken waits for the next one", async () => {
    const signal = new Signal();
    let times = 0;
    const again = async (): Promise<void> => {
      for (;;) {
        await signal.next(NEVER);
        times += 1;
      }
    };
    void again();
    for (let n = 1; n <= 3; n += 1) {
      signal.notify();
      await settle();
      expect(times).toBe(n);
    }
  });

  test("leaves nothing at the abort signal of whoever was woken", async () => {
    const signal = new Signal();
    const abort = new AbortController();
    let listeners = 0;
    const counting = new Proxy(abort.signal, {
      get(target, key) {
        if (key === "addEventListener") listeners += 1;
        if (key === "removeEventListener") listeners -= 1;
        const value = Reflect.get(target, key, target) as unknown;
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    for (let n = 0; n < 10; n += 1) {
      const waiting = signal.next(counting);
      signal.notify();
      await waiting;
    }
    expect(listeners).toBe(0);
  });
});
