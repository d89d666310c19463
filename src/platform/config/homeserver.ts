import { z } from "zod";
import { httpUrl, path, serverName } from "./values.ts";

export const homeserver = z
  .strictObject({
    url: httpUrl().meta({
      description: "URL of the homeserver's client-server API. Use the direct address, without a reverse proxy.",
      examples: ["http://127.0.0.1:8008"],
    }),
    server_name: serverName().meta({
      description: "Server name: the part of its user IDs after the colon.",
      examples: ["example.org"],
    }),
    admin_token_file: path()
      .optional()
      .describe(
        "File with the access token of a homeserver administrator. Emissary uses it only to list aliases of all rooms " +
          "(Synapse's admin API). Without it, Emissary cannot find an alias that neither the directory nor its room mentions.",
      ),
  })
  .describe("Your homeserver.");
