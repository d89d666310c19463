import { z } from "zod";
import { choice, duration, yesOrNo } from "./values.ts";

export const aliases = z
  .strictObject({
    keep: yesOrNo()
      .prefault(true)
      .describe(
        "Whether the pseudouser stays in the rooms that aliases of this server point to, so that they go on working.",
      ),
    sweep: duration({ atLeast: "1m" }).prefault("24h").describe("How often all aliases are looked at."),
    empty_rooms: choice(["keep", "release"])
      .prefault("keep")
      .describe("What becomes of an aliased room that no ordinary user is in any more."),
    empty_after: duration({ atLeast: "1m" }).prefault("30d").describe("After how long release gives up such a room."),
  })
  .describe("Keeping alive the rooms that this server's aliases point to.");
