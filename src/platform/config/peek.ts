import { z } from "zod";
import { duration, globs, wholeNumber } from "./values.ts";

export const peek = z
  .strictObject({
    idle: duration({ atLeast: "10s" })
      .prefault("10m")
      .describe("How long a peeked room stays open after the user's last read."),
    wait: duration({ atLeast: "1s" })
      .prefault("30s")
      .describe("How long a user's request waits for the pseudouser to join the room."),
    rooms_per_user: wholeNumber(1, 10_000)
      .prefault(20)
      .describe("Maximum number of rooms that one user may peek into at once."),
    servers: globs().describe(
      "Servers through which users may peek, as globs; empty for all. One server of the room must match.",
    ),
    rooms: globs().describe("Rooms that users may peek into: IDs or aliases, as globs; empty for all."),
  })
  .describe("Peeking: local users look into rooms that their server is not in.");
