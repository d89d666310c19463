import { z } from "zod";
import { httpUrl, listen, path } from "./values.ts";

export const appservice = z
  .strictObject({
    listen: listen()
      .prefault("127.0.0.1:9009")
      .describe("Where Emissary listens for the homeserver. Nobody else needs to reach it."),
    url: httpUrl().meta({
      description:
        "Where the homeserver reaches this listener. The same address stands in the registration as its url.",
      examples: ["http://127.0.0.1:9009"],
    }),
    registration: path()
      .prefault("registration.yaml")
      .describe("The registration file that the homeserver has loaded too. Relative to this file's folder."),
  })
  .describe("The side that the homeserver sends events to.");
