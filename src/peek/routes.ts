import { CLIENT_EVERY, CLIENT_V1, CLIENT_V1_EVERY, CLIENT_V3 } from "../http/client-paths.ts";
import { upstreamRequest } from "../http/upstream.ts";
import { isJsonObject, parsedObject } from "../model/json.ts";
import type { Handler, Method } from "../http/server.ts";
import { type PeekEndpoint, type PeekHandler, type PeekParts } from "./peek.ts";
import { masked, maskedEndpoints } from "./masked.ts";
import { deviceEndpoints } from "./msc2753/endpoints.ts";
import { ignoringEndpoint } from "./ignoring.ts";
import { readEndpoints } from "./reads.ts";
import { receiptEndpoints } from "./receipts.ts";
import { roomEndpoints } from "./rooms.ts";
import { slidingEndpoint } from "./sliding/endpoint.ts";
import { teaching } from "./teaching.ts";

const EVERY_NAME: ReadonlyMap<readonly string[], readonly string[]> = new Map([
  [CLIENT_V3, CLIENT_EVERY],
  [CLIENT_V1, CLIENT_V1_EVERY],
]);
const VERSIONS_BYTES = 256 * 1024;

/** Adds MSC2753 to the features that the homeserver announces. Clients check them before they peek. */
const versions: PeekHandler = (parts, request, reply) =>
  parts.upstream.asCaller(upstreamRequest(request), reply, {
    limit: VERSIONS_BYTES,
    revise: (body) => {
      const told = parsedObject(body);
      const features = isJsonObject(told["unstable_features"]) ? told["unstable_features"] : {};
      const more = { ...told, unstable_features: { ...features, "org.matrix.msc2753": true } };
      return Buffer.from(JSON.stringify(more));
    },
  });

const ENDPOINTS: readonly PeekEndpoint[] = [
  ...readEndpoints,
  ...roomEndpoints,
  ...receiptEndpoints,
  ...deviceEndpoints,
  slidingEndpoint,
  ignoringEndpoint,
  ...maskedEndpoints,
  {
    method: "GET",
    path: "/versions",
    under: ["/_matrix/client"],
    note: "passed, and peeking is announced",
    handler: versions,
  },
];

/** All endpoints of the Peek API. The reverse proxy sends these paths here and all others to the homeserver. */
export const PEEK_ENDPOINTS: readonly PeekEndpoint[] = ENDPOINTS.map((endpoint) => ({
  ...endpoint,
  under: EVERY_NAME.get(endpoint.under) ?? endpoint.under,
}));

/** Builds the gateway's handlers for users of the homeserver. */
export function peekSurface(parts: PeekParts) {
  const handlers = new Map<string, Partial<Record<Method, Handler>>>();
  for (const endpoint of PEEK_ENDPOINTS) {
    const { method, path, under } = endpoint;
    const handler = masked({ path, handler: teaching(endpoint) });
    for (const prefix of under) {
      const known = handlers.get(`${prefix}${path}`) ?? {};
      known[method] = (request, reply) => handler(parts, request, reply);
      handlers.set(`${prefix}${path}`, known);
    }
  }
  return { handlers };
}
