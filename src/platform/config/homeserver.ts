import { z } from "zod";
import { httpUrl, path, serverName } from "./values.ts";

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
    admin_token_file: path()
      .optional()
      .describe(
        "A file with the access token of an administrator of the homeserver. With it, all rooms are looked through for aliases " +
          "(Synapse's admin API): an alias that is neither listed nor told in its room is found in no other way. Nothing else is done with it.",
      ),
  })
  .describe("The homeserver that Emissary serves.");
