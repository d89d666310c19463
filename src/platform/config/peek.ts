import { z } from "zod";
import { duration, globs, wholeNumber } from "./values.ts";

export const peek = z
  .strictObject({
    idle: duration({ atLeast: "10s" })
      .prefault("10m")
      .describe("How long a room is kept for a user who peeked into it and reads no more."),
    wait: duration({ atLeast: "1s" })
      .prefault("30s")
      .describe("How long a user's request waits for the pseudouser to be in the room."),
    rooms_per_user: wholeNumber(1, 10_000).prefault(20).describe("How many rooms one user may peek into at once."),
    servers: globs().describe(
      "Servers through which rooms may be peeked into, as globs; empty for all. One of a room's servers has to match.",
    ),
    rooms: globs().describe("Rooms that may be peeked into, IDs or aliases, as globs; empty for all."),
  })
  .describe("Local users looking into rooms that their server is not in.");
