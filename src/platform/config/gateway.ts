import { z } from "zod";
import { listen, wholeNumber, yesOrNo } from "./values.ts";

export const gateway = z
  .strictObject({
    listen: listen()
      .prefault("127.0.0.1:9010")
      .describe("Address of the client-server API for tenants. They use it as the address of their homeserver."),
    front_door: yesOrNo()
      .prefault(false)
      .describe("Pass requests that are not from tenants to the homeserver. If false, Emissary refuses them."),
    persona_fallback: yesOrNo()
      .prefault(true)
      .describe(
        "Put the persona's name into the text of its messages, for clients without per-message profiles (MSC4144).",
      ),
    tenant_rate: wholeNumber(1, 1_000_000)
      .prefault(100)
      .describe(
        "Sustained requests per second of one tenant. A read counts as a fifth. Above it the answer is M_LIMIT_EXCEEDED.",
      ),
    tenant_burst: wholeNumber(1, 10_000_000)
      .prefault(5_000)
      .describe(
        "Requests that a tenant may make at once after a pause, for example when a bridge starts or backfills.",
      ),
  })
  .describe("The client-server API for appservices and bots that act through the pseudouser.");
