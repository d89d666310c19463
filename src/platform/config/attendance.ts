import { z } from "zod";
import { duration, expecting, wholeNumber } from "./values.ts";

export const attendance = z
  .strictObject({
    linger: duration()
      .prefault("10m")
      .describe("How long the pseudouser stays in a room after the last lease there has ended."),
    concurrency: wholeNumber(1, 64).prefault(4).describe("How many joins and leaves are under way at once."),
    joins_per_second: expecting("a number above 0", z.number().positive())
      .prefault(5)
      .describe(
        "How many joins are begun in a second, at most. The homeserver does not limit appservices, so Emissary does.",
      ),
    join_timeout: duration({ atLeast: "1s" })
      .prefault("10m")
      .describe("How long one join may take. Joining a large room over federation takes minutes."),
  })
  .describe("Being in rooms: joining, staying, leaving.");
