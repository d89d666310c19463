import { z } from "zod";
import { listen, yesOrNo } from "./values.ts";

export const gateway = z
  .strictObject({
    listen: listen()
      .prefault("127.0.0.1:9010")
      .describe("Where tenants find the client-server API. They use it as their homeserver's address."),
    front_door: yesOrNo()
      .prefault(false)
      .describe(
        "Whether requests that are not a tenant's are passed through to the homeserver. With false they are refused.",
      ),
  })
  .describe("The client-server API for appservices and bots that act through the pseudouser.");
