import { EmissaryError } from "../../model/errors.ts";
import { pathForLog } from "../../http/bearer.ts";
import type { Endpoint } from "./act.ts";

/** The endpoints, as `METHOD /path` below `under`. */
export interface RefusedEndpoints {
  readonly endpoints: readonly `${Endpoint["method"]} /${string}`[];
  readonly under?: readonly string[];
  /** The reason and the alternative, in a sentence for the tenant's developer and the reference. */
  readonly why: string;
}

/** Makes endpoints that refuse with a reason. SDKs see a feature that a homeserver may lack. */
export function refused({ endpoints, under, why }: RefusedEndpoints): readonly Endpoint[] {
  return endpoints.map((endpoint) => {
    const [method, path] = endpoint.split(" ") as [Endpoint["method"], string];
    return {
      method,
      path,
      ...(under === undefined ? {} : { under }),
      how: "refused",
      note: why,
      handler: async (_parts, { tenant }, request) => {
        throw new EmissaryError(
          "unrecognized",
          `${method} ${pathForLog(request.url)} is not for tenants (${tenant.id}) to ask: ${why}.`,
        );
      },
    };
  });
}
