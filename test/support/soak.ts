/**
 * The suite runs with fixed seeds, so that it is the same for everybody; a soak (`npm run test:soak`) runs the same tests with
 * other seeds and for longer. What it was run with is in the failure's message, and the seed makes it happen again.
 */
const soak = Number(process.env["EMISSARY_SOAK_SEED"] ?? 0);

/** The seed of a property or a scene: its own, or in a soak the soak's. */
export function seedOf(fixed: number): number {
  return soak === 0 ? fixed : (fixed * 7919 + soak) % 2 ** 31;
}

/** What is too large for every run: a smaller size, which shows the same, and in a soak the whole. */
export function sizeOf(usual: number, whole: number): number {
  return soak === 0 ? usual : whole;
}

/** How many runs or rounds: several times as many in a soak. */
export function roundsOf(fixed: number): number {
  return soak === 0 ? fixed : fixed * 3;
}
