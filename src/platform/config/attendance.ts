import { z } from "zod";
import { duration, expecting, wholeNumber, yesOrNo } from "./values.ts";

export const attendance = z
  .strictObject({
    linger: duration()
      .prefault("10m")
      .describe(
        "How long the pseudouser stays in a room after the last lease there has ended, and a random part of up to half as " +
          "long again, so that the time of its leaving tells nobody when the last reader stopped. It doubles with each further hour of " +
          "the last day in which somebody began to look in, up to six hours, while no more than half of policy.max_rooms are used.",
      ),
    concurrency: wholeNumber(1, 64).prefault(4).describe("How many joins and leaves are under way at once."),
    joins_per_second: expecting("a number above 0", z.number().positive())
      .prefault(5)
      .describe(
        "How many joins are begun in a second, at most. The homeserver does not limit appservices, so Emissary does.",
      ),
    join_timeout: duration({ atLeast: "1s" })
      .prefault("10m")
      .describe("How long one join may take. Joining a large room over federation takes minutes."),
    join_reason: expecting("a text of 1 to 500 characters, or null", z.string().min(1).max(500).nullable())
      .prefault("Somebody at {server} looks into this room, or has a bot here.")
      .describe(
        "What each join of the pseudouser gives as its reason (MSC2367), {server} being the server's name; null for none. Everybody in the " +
          "room can read it.",
      ),
    functional_member: yesOrNo()
      .prefault(true)
      .describe(
        "Whether the pseudouser, where it has the power to, lists itself in the room's io.element.functional_members " +
          "(MSC4171), once a stay: clients then leave it out of the room's name.",
      ),
  })
  .describe("Being in rooms: joining, staying, leaving.");
