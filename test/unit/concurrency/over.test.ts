import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { OVER, Span } from "../../../src/concurrency/over.ts";

test("a span is over with the first of its signals, by itself, or from the beginning, and leaves nothing at them", () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const first = new Span(one.signal, other.signal);
  const second = new Span(one.signal);
  second.end();
  expect([first.signal.aborted, second.signal.aborted]).toEqual([false, true]);
  one.abort();
  expect([first.signal.aborted, first.signal.reason]).toEqual([true, OVER]);
  expect(new Span(other.signal, one.signal).signal.aborted).toBe(true);
  for (const { signal } of [one, other]) expect(getEventListeners(signal, "abort")).toEqual([]);
});
