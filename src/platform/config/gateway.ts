import { z } from "zod";
import { listen, wholeNumber, yesOrNo } from "./values.ts";

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
    persona_fallback: yesOrNo()
      .prefault(true)
      .describe(
        "Whether messages of a persona carry its name in their text, for clients without per-message profiles (MSC4144).",
      ),
    tenant_rate: wholeNumber(1, 1_000_000)
      .prefault(100)
      .describe(
        "How many requests a second one tenant may make in the long run. A read counts as a fifth of one. More are answered M_LIMIT_EXCEEDED.",
      ),
    tenant_burst: wholeNumber(1, 10_000_000)
      .prefault(5_000)
      .describe("How many it may make at once after a rest, such as when a bridge starts or fills in history."),
  })
  .describe("The client-server API for appservices and bots that act through the pseudouser.");
