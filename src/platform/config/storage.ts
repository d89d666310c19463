import { z } from "zod";
import { choice, duration, path, size } from "./values.ts";

export const storage = z
  .strictObject({
    sqlite: path()
      .prefault("emissary.db")
      .describe("The database file, made when missing. Relative to this file's folder."),
    durability: choice(["full", "process"])
      .prefault("full")
      .describe(
        "What a received event outlives once the homeserver is told that we have it: full, a power cut; process, a crash of Emissary only, and faster.",
      ),
    journal_keep: duration()
      .prefault("7d")
      .describe(
        "How long received events are kept for those who read them. What one of them has yet to read stays, and so do the newest 50,000.",
      ),
    journal_max_size: size()
      .prefault("1GiB")
      .describe("While the received events take more than this, the oldest go sooner. The same ones stay."),
    audit_keep: duration().prefault("90d").describe("How long the audit is kept."),
    audit_max_size: size()
      .prefault("1GiB")
      .describe(
        "While the audit takes more than this, its oldest entries go sooner. Half of it is for the operator's own, which no others displace.",
      ),
  })
  .describe("What Emissary remembers.");
