import { z } from "zod";
import { choice } from "./values.ts";

export const log = z
  .strictObject({
    level: choice(["error", "warn", "info", "debug"])
      .prefault("info")
      .describe("The least grave entries that are written."),
    format: choice(["text", "json"]).prefault("text").describe("For people, or one JSON object a line for programs."),
  })
  .describe("What Emissary writes to standard error.");
