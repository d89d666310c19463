import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // As many as the smallest machine that this is for has cores; the default leaves one of them idle.
    maxWorkers: 2,
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 10_000 } },
      { test: { name: "store", include: ["test/store/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: {
          name: "service",
          include: ["test/service/**/*.test.ts"],
          globalSetup: ["test/support/built.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/support/built.ts", "test/support/quick-synapses.ts"],
          setupFiles: ["test/support/failed-log.ts"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: "soak",
          include: ["test/soak/**/*.test.ts"],
          setupFiles: ["test/support/failed-log.ts"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
