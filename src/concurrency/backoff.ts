import type { Random } from "../model/clock.ts";

/**
 * Returns how long to wait after the `tries`-th failure in a row, in milliseconds. The pause doubles from `first` up
 * to `most`. A random part between half and all of it counts, so that rooms do not return together.
 */
export function backoff(tries: number, random: Random, first = 1_000, most = 10 * 60_000): number {
  const whole = Math.min(most, first * 2 ** Math.min(Math.max(tries - 1, 0), 30));
  return Math.round(whole / 2 + (whole / 2) * random.fraction());
}
