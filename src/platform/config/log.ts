import { z } from "zod";
import { choice } from "./values.ts";

export const log = z
  .strictObject({
    level: choice(["error", "warn", "info", "debug"]).prefault("info").describe("Minimum level logged."),
    format: choice(["text", "json"])
      .prefault("text")
      .describe("`text` for people, `json` for programs (one object per line)."),
  })
  .describe("The log, on standard error.");
