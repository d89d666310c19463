import { z } from "zod";
import { duration, expecting, wholeNumber, yesOrNo } from "./values.ts";

export const attendance = z
  .strictObject({
    linger: duration()
      .prefault("10m")
      .describe(
        "How long the pseudouser stays in a room after the last lease ended. Emissary adds up to half of that at random, " +
          "so the time of the leave does not reveal when the last reader stopped. The time doubles for each further hour of " +
          "the last day in which users opened the room, up to six hours, while at most half of policy.max_rooms is used.",
      ),
    concurrency: wholeNumber(1, 64).prefault(4).describe("Maximum number of concurrent joins and leaves."),
    joins_per_second: expecting("a number above 0", z.number().positive())
      .prefault(5)
      .describe(
        "Maximum number of joins started per second. The homeserver does not limit appservices, so Emissary does.",
      ),
    join_timeout: duration({ atLeast: "1s" })
      .prefault("10m")
      .describe("Timeout of one join. Joining a large room over federation takes minutes."),
    join_reason: expecting("a text of 1 to 500 characters, or null", z.string().min(1).max(500).nullable())
      .prefault("Somebody at {server} looks into this room, or has a bot here.")
      .describe(
        "Reason in the pseudouser's join event (MSC2367), or null for none. Everybody in the room can read it. " +
          "{server} stands for the server name.",
      ),
    functional_member: yesOrNo()
      .prefault(true)
      .describe(
        "List the pseudouser in the room's io.element.functional_members (MSC4171), once per stay, if it has the power. " +
          "Clients then leave it out of the room's name.",
      ),
  })
  .describe("Joining, staying in and leaving rooms.");
