import { z } from "zod";
import { httpUrl, serverName } from "./values.ts";

export const homeserver = z
  .strictObject({
    url: httpUrl().meta({
      description:
        "Where Emissary reaches the homeserver's client-server API. Best is the direct address, without a reverse proxy " +
        "between.",
      examples: ["http://127.0.0.1:8008"],
    }),
    server_name: serverName().meta({
      description: "The homeserver's name, as it stands in its users' IDs after the colon.",
      examples: ["example.org"],
    }),
  })
  .describe("The homeserver that Emissary serves.");
