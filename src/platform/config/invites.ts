import { z } from "zod";
import { budget, duration, yesOrNo } from "./values.ts";

export const invites = z
  .strictObject({
    take_part: yesOrNo()
      .prefault(false)
      .describe(
        "Join rooms that local users are invited to, if policy allows, so your server takes part before they accept. " +
          "Needs a registration made with `emissary register --watch-invites`.",
      ),
    wait: duration({ atLeast: "1m" })
      .prefault("24h")
      .describe("How long the pseudouser stays for an unanswered invite."),
    joins_per_server: budget().prefault("10/1h").describe("Joins that invites from one remote server may cause."),
    joins_per_inviter: budget().prefault("3/1h").describe("Joins that invites from one user may cause."),
  })
  .describe("Invites of local users.");
