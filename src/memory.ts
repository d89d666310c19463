import { setFlagsFromString } from "node:v8";

// Must be the first import of main.ts: V8 heeds these flags only while its heap is small. They trade a little more
// work for much less memory (figures: docs/performance.md). A V8 that does not know a flag says so and goes on.

// The young generation would grow to three times 16 MB; a transaction's garbage fits into less.
setFlagsFromString("--max-semi-space-size=4");
setFlagsFromString("--semi-space-growth-factor=1");
// Event IDs live as long as the newest 50,000. By default the old generation would keep dead ones until it has grown
// to several times its size.
setFlagsFromString("--heap-growing-percent=20");
