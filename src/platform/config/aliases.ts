import { z } from "zod";
import { choice, duration, yesOrNo } from "./values.ts";

export const aliases = z
  .strictObject({
    keep: yesOrNo()
      .prefault(true)
      .describe("Keep the pseudouser in rooms that local aliases point to. The aliases then keep working."),
    sweep: duration({ atLeast: "1m" }).prefault("24h").describe("How often to check all aliases."),
    empty_rooms: choice(["keep", "release"])
      .prefault("keep")
      .describe("What to do with an aliased room that has no ordinary user left."),
    empty_after: duration({ atLeast: "1m" })
      .prefault("30d")
      .describe("How long `release` waits before it gives up such a room."),
  })
  .describe("Keeping rooms behind local aliases alive.");
