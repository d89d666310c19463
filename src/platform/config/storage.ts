import { z } from "zod";
import { choice, duration, path, size } from "./values.ts";

export const storage = z
  .strictObject({
    sqlite: path()
      .prefault("emissary.db")
      .describe("Database file; created if missing. Relative to the folder of this file."),
    durability: choice(["full", "process"])
      .prefault("full")
      .describe(
        "What acknowledged events survive. full: a power cut. process: only a crash of Emissary, but it is faster.",
      ),
    journal_keep: duration()
      .prefault("7d")
      .describe(
        "How long to keep received events. Emissary always keeps events that a consumer has not read, and the newest 50,000.",
      ),
    journal_max_size: size()
      .prefault("1GiB")
      .describe("Delete the oldest events sooner if all events take more than this. The same exceptions apply."),
    audit_keep: duration().prefault("90d").describe("How long to keep audit entries."),
    audit_max_size: size()
      .prefault("1GiB")
      .describe(
        "Delete the oldest audit entries sooner if the audit takes more than this. Half is reserved for your own actions.",
      ),
  })
  .describe("The database.");
