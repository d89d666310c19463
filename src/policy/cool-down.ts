export const COOL_DOWN_CODES = ["flooded", "too-complex", "put-out"] as const;
/**
 * Why a room is kept away from for a while: it sent more than may be, the homeserver finds it too complex to join, or somebody there
 * put us out.
 */
export type CoolDownCode = (typeof COOL_DOWN_CODES)[number];

/** How the strikes of a room stand, of one code. */
export interface Strikes {
  readonly strikes: number;
  readonly until: number;
  /** A strike from then on is the first again. */
  readonly forgetAt: number;
}

const HOUR = 60 * 60 * 1000;
const FIRST: Readonly<Record<CoolDownCode, number>> = { flooded: HOUR, "too-complex": 24 * HOUR, "put-out": HOUR / 6 };
const LONGEST = 7 * 24 * HOUR;
/** A strike is one more in a row where it comes within so many times the last length after the last one's end. */
const IN_A_ROW = 4;

/**
 * How they stand after one more strike.
 * @param last null where there was none
 */
export function afterStrike(code: CoolDownCode, last: Strikes | null, now: number): Strikes {
  const strikes = last !== null && now < last.forgetAt ? last.strikes + 1 : 1;
  // The power stays a number that can be calculated with; the length stopped growing long before.
  const length = Math.min(LONGEST, FIRST[code] * 2 ** Math.min(strikes - 1, 30));
  const until = now + length;
  return { strikes, until, forgetAt: until + IN_A_ROW * length };
}
