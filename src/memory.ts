import { setFlagsFromString } from "node:v8";

// The first import of main.ts, because V8 heeds these only while its heap is small. They trade a little more work for much less
// memory; docs/performance.md has the figures. A V8 that does not know one of them says so and goes on.

// The young generation would grow to three times 16 MB before it is cleaned. What a transaction leaves behind fits into less.
setFlagsFromString("--max-semi-space-size=4");
setFlagsFromString("--semi-space-growth-factor=1");
// Event IDs live as long as the newest 50,000 do, and then lie about until the old generation is cleaned: by default not before
// it has grown to several times its size.
setFlagsFromString("--heap-growing-percent=20");
