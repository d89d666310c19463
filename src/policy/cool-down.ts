export const COOL_DOWN_CODES = ["flooded", "too-complex", "put-out"] as const;
/** Why we keep away from a room: too many events, too complex for the homeserver, or somebody there removed us. */
export type CoolDownCode = (typeof COOL_DOWN_CODES)[number];

export interface CoolDown {
  readonly code: CoolDownCode;
  /** One sentence for people. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Number of consecutive strikes. Each doubles the cool-down. */
  readonly strikes: number;
}

/** A room's strikes with one code. */
export interface Strikes {
  readonly strikes: number;
  readonly until: number;
  /** A strike after this time counts as the first again. */
  readonly forgetAt: number;
}

const HOUR = 60 * 60 * 1000;
const FIRST: Readonly<Record<CoolDownCode, number>> = { flooded: HOUR, "too-complex": 24 * HOUR, "put-out": HOUR / 6 };
const LONGEST = 7 * 24 * HOUR;
/** A strike is consecutive if it comes within this many times the last cool-down's length after its end. */
const IN_A_ROW = 4;

/** Returns the strikes after one more; `last` is null if there was none. */
export function afterStrike(code: CoolDownCode, last: Strikes | null, now: number): Strikes {
  const strikes = last !== null && now < last.forgetAt ? last.strikes + 1 : 1;
  // Bounds the exponent to keep the number finite. The length reaches its maximum long before.
  const length = Math.min(LONGEST, FIRST[code] * 2 ** Math.min(strikes - 1, 30));
  const until = now + length;
  return { strikes, until, forgetAt: until + IN_A_ROW * length };
}
