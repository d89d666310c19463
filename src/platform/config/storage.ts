import { z } from "zod";
import { path } from "./values.ts";

export const storage = z
  .strictObject({
    sqlite: path()
      .prefault("emissary.db")
      .describe("The database file, made when missing. Relative to this file's folder."),
  })
  .describe("What Emissary remembers.");
