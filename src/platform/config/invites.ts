import { z } from "zod";
import { budget, duration, yesOrNo } from "./values.ts";

export const invites = z
  .strictObject({
    take_part: yesOrNo()
      .prefault(false)
      .describe(
        "Whether the pseudouser joins rooms that local users are invited to, where its rules allow, so that this server takes part " +
          "before they accept. It takes a registration with --watch-invites (emissary register).",
      ),
    wait: duration({ atLeast: "1m" }).prefault("24h").describe("How long it stays for an invite that nobody answers."),
    joins_per_server: budget().prefault("10/1h").describe("Joins that the invites of one other server may cause."),
    joins_per_inviter: budget().prefault("3/1h").describe("Joins that the invites of one user may cause."),
  })
  .describe("Local users who are invited to rooms.");
