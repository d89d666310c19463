import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

// The first import of main.ts, because the heap is to be shaped while it is small. This trades a little more work for much less
// memory; docs/performance.md has the figures. A V8 that does not know one of the flags says so and goes on.

/** Of the young generation, both halves. With 2 MB, V8's beginning, much of what 64 requests at once hold is taken for old. */
const YOUNG_BYTES = 8 * 1024 * 1024;
/** Lists made at most to have it grow. */
const MOST_ROUNDS = 100;
const ROUND = 1_000;

/**
 * The young generation would grow to 64 MB and more before it is cleaned. The flags for its size are heeded at V8's start only, the
 * one for the steps it grows in at all times: so it is made to grow once, which takes some milliseconds, and then no more.
 */
function fixYoungGeneration(): void {
  const held: unknown[] = [];
  setFlagsFromString("--semi-space-growth-factor=4");
  for (let round = 0; round < MOST_ROUNDS && youngBytes() < YOUNG_BYTES; round += 1) {
    for (let made = 0; made < ROUND; made += 1) held.push([made]);
  }
  setFlagsFromString("--semi-space-growth-factor=1");
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? YOUNG_BYTES;
}

fixYoungGeneration();
// Event IDs live as long as the newest 50,000 do, and then lie about until the old generation is cleaned: by default not before
// it has grown to several times its size.
setFlagsFromString("--heap-growing-percent=20");
