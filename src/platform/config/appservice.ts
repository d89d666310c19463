import { z } from "zod";
import { httpUrl, listen, path } from "./values.ts";

export const appservice = z
  .strictObject({
    listen: listen()
      .prefault("127.0.0.1:9009")
      .describe("Address where Emissary listens for the homeserver. Only the homeserver needs to reach it."),
    url: httpUrl().meta({
      description: "URL where the homeserver reaches this listener. It must equal `url` in the registration.",
      examples: ["http://127.0.0.1:9009"],
    }),
    registration: path()
      .prefault("registration.yaml")
      .describe("Registration file, which the homeserver loads too. Relative to the folder of this file."),
  })
  .describe("The listener that receives events from the homeserver.");
